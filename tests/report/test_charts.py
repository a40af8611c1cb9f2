"""Axes, ticks, SVG and PNG: what is drawn where."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from folders import folder
from made_up import made_up

from lcpo.report import draw
from lcpo.report.charts import (
    Axis,
    Bar,
    Box,
    Chart,
    Mark,
    Range,
    Series,
    Style,
    linear_ticks,
    log_ticks,
    resolve,
    thinned,
)
from lcpo.report.findings import findings
from lcpo.report.load import Evaluations, load
from lcpo.report.page import html
from lcpo.report.plots import before_after, write
from lcpo.report.published import points, table
from lcpo.report.svg import SIZES
from lcpo.report.svg import draw as svg

LINE = Series("a", Style(1), (Mark(10, 0.2, 0.1, 0.3, title="first"), Mark(100, 0.8, hollow=True)))
CHART = Chart("x", "A <title>", "", Axis("tokens", log=True), Axis("accuracy", percent=True, low=0.0), (LINE,))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evaluations:
    return load([folder(tmp_path_factory.mktemp("charts") / "ev", made_up(8, 2, (8, 16, 32, 64, 128)))])


def test_linear_ticks_are_round() -> None:
    assert linear_ticks(0, 1) == (0, 0.2, 0.4, 0.6, 0.8, 1)
    assert linear_ticks(-0.33, 0.21, 5) == (-0.2, 0, 0.2)
    assert linear_ticks(0, 7, 5) == (0, 2, 4, 6)


def test_log_ticks_are_twos_then_125_then_tens() -> None:
    assert log_ticks(7, 70) == (8, 16, 32, 64)
    assert log_ticks(0.05, 4, twos=False) == (0.05, 0.1, 0.2, 0.5, 1, 2)
    assert log_ticks(1, 1e9) == (1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)


def test_thinned_ticks_keep_their_distance() -> None:
    assert thinned((1, 1.5, 2, 3), Range(0, 10, ()), 0.1) == (1, 2, 3)


def test_a_range_places_values_between_its_ends() -> None:
    span = Range(10, 1000, (), log=True)
    assert [span.at(v) for v in (10, 100, 1000)] == pytest.approx([0, 0.5, 1])
    assert Range(0, 4, ()).at(1) == 0.25


def test_axes_leave_room_and_keep_given_ends() -> None:
    y = resolve(CHART, "y")
    assert y.low == 0 and y.high > 0.8
    x = resolve(CHART, "x")
    assert x.low < 10 and x.high > 100
    empty = replace(CHART, series=())
    assert resolve(empty, "x").low < resolve(empty, "x").high


def test_one_value_still_makes_an_axis() -> None:
    flat = replace(CHART, series=(Series("a", Style(), (Mark(50, 0.5),)),), y=Axis("y"))
    assert resolve(flat, "x").low < 50 < resolve(flat, "x").high
    assert resolve(flat, "y").low < 0.5 < resolve(flat, "y").high


@pytest.mark.parametrize(
    ("axis", "value", "text"),
    [
        (Axis("", percent=True), 0.25, "25 %"),
        (Axis("", points=True), 0.1, "+10"),
        (Axis("", points=True), 0.0, "0"),
        (Axis(""), 12345, "12,345"),
        (Axis(""), 0.5, "0.5"),
        (Axis("", categories=("a", "b")), 1.0, "b"),
    ],
)
def test_ticks_as_text(axis: Axis, value: float, text: str) -> None:
    assert axis.text(value) == text


def test_svg_escapes_and_stays_inside_its_frame() -> None:
    for size in SIZES["wide"]:
        drawn = svg(CHART, size)
        assert "A &lt;title&gt;" in drawn and "A <title>" not in drawn and "style=" not in drawn
        places = re.findall(r'class="mark[^"]*"[^>]*translate\(([\d.-]+),([\d.-]+)\)', drawn)
        assert len(places) == 2
        assert all(size.left <= float(x) <= size.width and 0 <= float(y) <= size.height for x, y in places)
        assert float(places[0][0]) < float(places[1][0]) and float(places[0][1]) > float(places[1][1])


def test_svg_draws_boxes_bars_bands_and_guides() -> None:
    box = Series("b", Style(), boxes=(Box(0, -1, -0.5, 0, 0.5, 9, "title"),))
    bars = Series("c", Style(), bars=(Bar(0, 0, 1),), band=((0, 0.1, 0.2), (1, 0.2, 0.3)))
    chart = Chart(
        "x", "", "", Axis("", categories=("8", "16")), Axis("", low=-1, high=1), (box, bars), ((0.0, "zero"),)
    )
    drawn = svg(chart, SIZES["small"][0])
    for part in (
        'class="box"',
        'class="middle"',
        'class="bar"',
        'class="band"',
        'class="guide"',
        ">zero<",
        "<title>title",
    ):
        assert part in drawn
    assert "nan" not in drawn and "inf" not in drawn


def test_every_dial_is_drawn_and_keeps_its_style(found: Evaluations) -> None:
    charts = {chart.name: chart for chart in draw.shared(found, "sums")}
    assert set(charts) == {"accuracy", "asked_used", "miss", "over", "filler"}
    styles = {one.name: one.style for one in charts["accuracy"].series}
    assert set(styles) == {c.label for c in found.curves}
    assert all(styles[one.name] == one.style for chart in charts.values() for one in chart.series)
    assert charts["accuracy"].levels == ((0.01, "guessing: 1 %"),)
    assert charts["asked_used"].diagonal == "asked = used"


def test_points_carry_the_rows_values(found: Evaluations) -> None:
    chart = next(c for c in draw.shared(found, "sums") if c.name == "accuracy")
    curve = next(c for c in found.curves if c.label == "tiny-exact")
    drawn = next(one for one in chart.series if one.name == "tiny-exact")
    assert [(m.x, m.y) for m in drawn.marks] == [(r["tokens_mean"], r["accuracy"]) for r in curve.rows]
    assert [m.low for m in drawn.marks] == [r["accuracy_ci95"][0] for r in curve.rows]


def test_comparisons_turn_round_for_the_second_of_a_pair(found: Evaluations) -> None:
    first, second = (
        next(c for c in draw.small(found, "sums", "differences") if c.title.startswith(name))
        for name in ("tiny-exact", "tiny-max")
    )
    one = {round(m.x, 6): m.y for s in first.series if s.name == "tiny-max" for m in s.marks}
    other = {round(m.x, 6): m.y for s in second.series if s.name == "tiny-exact" for m in s.marks}
    assert one and {x: -y for x, y in one.items()} == pytest.approx(other)


def test_pngs_are_written_for_every_task(tmp_path: Path) -> None:
    samples = [replace(s, task=task) for task in ("sums", "a/b") for s in made_up(5, 1, (8, 16, 32))]
    written = write(load([folder(tmp_path / "ev", samples)]), tmp_path / "plots")
    assert {path.name for path in written} >= {"sums_accuracy.png", "a_b_accuracy.png", "sums_errors.png"}
    assert all(path.parent == tmp_path / "plots" and path.stat().st_size > 5000 for path in written)


def test_pngs_of_odd_evaluations_warn_of_nothing(tmp_path: Path) -> None:
    """Nothing right, chance far above, one budget or two, names that would fill the picture."""
    few = [replace(s, correct=False, model=s.model + "/" + "x" * 150) for s in made_up(3, 1, (8, 16)) if s.budget != 8]
    for name, samples in (("few", few), ("one", few[:1])):
        path = folder(tmp_path / name, samples)
        found = json.loads((path / "results.json").read_text())
        for row in found["rows"]:
            row["chance"] = 0.9
        (path / "results.json").write_text(json.dumps(found))
        assert write(load([path]), tmp_path / name / "plots")


def test_the_readme_picture_takes_arms_and_seeds(found: Evaluations, tmp_path: Path) -> None:
    rows = found.found["rows"]
    arms = {name: [r for r in rows if r["model"] == name] for name in ("tiny", "tiny-exact", "tiny-max")}
    arms["control"] = [dict(r, run=f"seed {i}") for i in range(3) for r in arms["tiny"]]
    path = before_after(arms, tmp_path / "deep" / "picture.png", before="tiny", controls=["control"])
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG") and len(first) > 20_000
    assert before_after(arms, path, before="tiny", controls=["control"]).read_bytes() == first


def test_a_row_without_an_interval_is_drawn_without_one(tmp_path: Path) -> None:
    rows = [s for s in made_up(3, 1, (8, 16, 32)) if s.budget != 16 or s.problem == "sums-0"]
    found = load([folder(tmp_path / "ev", rows)])
    (curve,) = [c for c in found.curves if c.label == "tiny-exact"]
    assert [row["accuracy_ci95"] is None for row in curve.rows] == [False, True, False]
    drawn = next(c for c in draw.shared(found, "sums") if c.name == "accuracy").series
    (series,) = [one for one in drawn if one.name == "tiny-exact"]
    assert [mark.low is None for mark in series.marks] == [False, True, False]
    assert findings(found, "sums") and "None" not in html(found)
    assert write(found, tmp_path / "plots")
    assert before_after({"tiny-exact": curve.rows}, tmp_path / "picture.png", before="tiny").is_file()


def test_published_points_name_their_source() -> None:
    found = table()
    assert "2503.04697" in found["source"]
    assert {point["origin"] for point in found["points"]} <= set(found["uncertainty"])
    series = {one.name: one for one in points("math500")}
    exact = series["L1-Exact (paper)"]
    assert (exact.marks[0].x, exact.marks[0].y) == (583, 0.706) and all(m.hollow for m in exact.marks)
    assert points("sums") == ()
