"""What is drawn, where: axes, SVG and PNG."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from folders import folder
from made_up import made_up

from lcpo.report.charts import before_after, published_points, published_table, shared, small
from lcpo.report.findings import cards
from lcpo.report.load import Evaluations, load
from lcpo.report.page import html, plots_beside, write_plots
from lcpo.report.plots import Axis, Box, Chart, Mark, Series, Style, png, svg, swatch

LINE = Series("a & <b>", Style(1), (Mark(10, 0.2, 0.1, 0.3, title="first <1>"), Mark(100, 0.8, hollow=True)))
CHART = Chart("x", "A <title>", Axis("tokens", log=True), Axis("accuracy", percent=True, low=0.0), (LINE,))
NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evaluations:
    return load([folder(tmp_path_factory.mktemp("charts") / "ev", made_up(8, 2, (8, 16, 32, 64, 128)))])


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


def drawn(chart: Chart, width: float = 400, height: float = 300) -> ElementTree.Element:
    return ElementTree.fromstring(svg(chart, width, height))


def labels(chart: Chart, width: float = 400) -> list[str]:
    """The texts of a picture; a minus is a minus."""
    return [text.text or "" for text in drawn(chart, width).iter(f"{NAMESPACE}text")]


def test_svg_is_escaped_and_needs_nothing_from_outside() -> None:
    text = svg(CHART, 400, 300)
    assert "A &lt;title&gt;" in text and "A <title>" not in text and "first &lt;1&gt;" in text
    assert not re.search(r"style=|<style|font-family|#[0-9a-f]{6}|metadata|xlink", text)
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', text))
    assert svg(CHART, 400, 300) == text


def test_points_lie_inside_and_in_order() -> None:
    root = drawn(CHART)
    groups = [group for group in root.iter(f"{NAMESPACE}g") if group.get("data-series") == "a & <b>"]
    titles = [group.findtext(f"{NAMESPACE}title") for group in groups]
    assert titles.count("first <1>") == 2  # the point and its error bar
    places = [use for group in groups for use in group.iter(f"{NAMESPACE}use") if "var(--c1)" in str(use.attrib)]
    xs, ys = [[float(use.get(name, "")) for use in places] for name in "xy"]
    assert len(places) >= 2 and all(0 < x < 400 for x in xs) and all(0 < y < 300 for y in ys)
    assert max(xs) > 3 * min(xs) and xs.index(max(xs)) == ys.index(min(ys))  # further right is higher up


def test_hollow_points_are_filled_with_the_page() -> None:
    hollow = replace(CHART, series=(Series("a", Style(), (Mark(10, 0.5, hollow=True),)),))
    full = replace(CHART, series=(Series("a", Style(), (Mark(10, 0.5),)),))
    assert [svg(chart, 400, 300).count('fill="var(--paper)"') for chart in (hollow, full)] == [3, 2]
    assert 'fill="var(--paper)"' in swatch(hollow.series[0]).split("<path", 2)[2]


def test_svg_draws_boxes_bars_bands_and_guides() -> None:
    box = Series("b", Style(2), boxes=(Box(0, -0.5, 0.5, 0, (-1, 9), "half of them"),))
    bars = Series("c", Style(4), boxes=(Box(0, 0, 1, title="a bar"),), band=((0, 0.1, 0.2), (1, 0.2, 0.3)))
    axes = Axis("", categories=("8", "16")), Axis("", low=-1, high=1)
    chart = Chart("x", "", *axes, (box, bars), ((0.0, "zero"),))
    text = svg(chart, 340, 250)
    for part in ("<title>half of them", "<title>a bar", ">zero<", ">8<", ">16<", 'fill-opacity="0.13"', "dasharray"):
        assert part in text, part
    assert "nan" not in text and "inf" not in text


@pytest.mark.parametrize("points", [(), ((50, 0.5),), ((50, 0.5), (50, 0.5)), ((1, 1e-9), (1e6, 1.0))])
def test_axes_of_few_or_far_points_have_ticks(points: tuple[tuple[float, float], ...]) -> None:
    chart = replace(CHART, series=(Series("a", Style(), tuple(Mark(x, y) for x, y in points)),), y=Axis("share"))
    assert len([text for text in labels(chart) if text not in ("tokens", "share")]) > 3


def test_ticks_are_thinned_where_there_is_no_room() -> None:
    ticks = tuple(range(8, 128, 5))
    chart = replace(
        CHART, x=Axis("tokens", log=True, ticks=ticks), series=(replace(LINE, marks=(Mark(8, 1), Mark(127, 0))),)
    )
    few, many = ([tick for tick in ticks if str(tick) in labels(chart, width)] for width in (300, 900))
    assert 3 < len(few) < len(many) < len(ticks)


def test_png_is_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    first = png(CHART, tmp_path / "deep" / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG") and len(first) > 5000
    assert png(CHART, tmp_path / "a.png").read_bytes() == first


def test_no_two_pages_share_their_plots(tmp_path: Path) -> None:
    assert plots_beside(tmp_path / "report.html") == tmp_path / "plots"
    assert plots_beside(tmp_path / "a.html") != plots_beside(tmp_path / "b.html") != tmp_path / "plots"


def test_every_dial_is_drawn_and_keeps_its_style(found: Evaluations) -> None:
    charts = {chart.name: chart for chart in shared(found, "sums")}
    assert set(charts) == {"accuracy", "asked_used", "miss", "over", "filler"}
    styles = {one.name: one.style for one in charts["accuracy"].series}
    assert set(styles) == {c.label for c in found.curves}
    assert all(styles[one.name] == one.style for chart in charts.values() for one in chart.series)
    assert charts["accuracy"].levels == ((0.01, "guessing: 1 %"),)
    assert charts["asked_used"].diagonal == "asked = used"


def test_points_carry_the_rows_values(found: Evaluations) -> None:
    chart = next(c for c in shared(found, "sums") if c.name == "accuracy")
    curve = next(c for c in found.curves if c.label == "tiny-exact")
    drawn = next(one for one in chart.series if one.name == "tiny-exact")
    assert [(m.x, m.y) for m in drawn.marks] == [(r["tokens_mean"], r["accuracy"]) for r in curve.rows]
    assert [m.low for m in drawn.marks] == [r["accuracy_ci95"][0] for r in curve.rows]


def test_arrows_lead_from_the_base_to_what_training_made(found: Evaluations, tmp_path: Path) -> None:
    base = [replace(s, seen=None) if s.model == "tiny" else s for s in made_up(8, 2, (8, 16, 32))]
    trained_first = sorted(base, key=lambda sample: sample.model != "tiny-exact")
    after = load([folder(tmp_path / "ev", trained_first)])
    tokens, accuracy = before_after(after, "sums")
    assert tokens.title == "Tokens: from tiny to tiny-exact" and tokens.diagonal and accuracy.diagonal is None
    rows = {c.label: {row["budget"]: row["tokens_mean"] for row in c.rows} for c in after.curves}
    assert tokens.arrows == tuple((b, rows["tiny"][b], rows["tiny-exact"][b]) for b in (8, 16, 32))
    assert svg(tokens, 400, 300).count('class="s" data-series="tiny-exact"') > len(tokens.series[1].marks) + 2
    assert before_after(found, "sums") == []  # every dial was trained: none is before another


def test_inert_thought_is_drawn_where_it_was_measured(found: Evaluations, tmp_path: Path) -> None:
    samples = [replace(s, changed=(s.budget != 8,) * 5) if s.budget else s for s in made_up(60, 2, (8, 16))]
    charts = {chart.name: chart for chart in shared(load([folder(tmp_path / "ev", samples)]), "sums")}
    exact = next(line for line in charts["inert"].series if line.name == "tiny-exact")
    assert [(mark.x, mark.y, mark.high) for mark in exact.marks] == [(8, 1.0, 1.0), (16, 0.0, 0.0)]
    assert "inert" not in {chart.name for chart in shared(found, "sums")}


def test_comparisons_turn_round_for_the_second_of_a_pair(found: Evaluations) -> None:
    first, second = (
        next(c for c in small(found, "sums", "differences") if c.title.startswith(name))
        for name in ("tiny-exact", "tiny-max")
    )
    one = {round(m.x, 6): m.y for s in first.series if s.name == "tiny-max" for m in s.marks}
    other = {round(m.x, 6): m.y for s in second.series if s.name == "tiny-exact" for m in s.marks}
    assert one and {x: -y for x, y in one.items()} == pytest.approx(other)


def test_pngs_are_written_for_every_task(tmp_path: Path) -> None:
    samples = [replace(s, task=task) for task in ("sums", "a/b") for s in made_up(5, 1, (8, 16, 32))]
    written = write_plots(load([folder(tmp_path / "ev", samples)]), tmp_path / "plots")
    assert {path.name for path in written} >= {"sums_accuracy.png", "a_b_accuracy.png", "sums_errors_0.png"}
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
        assert write_plots(load([path]), tmp_path / name / "plots")


def test_a_row_without_an_interval_is_drawn_without_one(tmp_path: Path) -> None:
    rows = [s for s in made_up(3, 1, (8, 16, 32)) if s.budget != 16 or s.problem == "sums-0"]
    found = load([folder(tmp_path / "ev", rows)])
    (curve,) = [c for c in found.curves if c.label == "tiny-exact"]
    assert [row["accuracy_ci95"] is None for row in curve.rows] == [False, True, False]
    drawn = next(c for c in shared(found, "sums") if c.name == "accuracy").series
    (series,) = [one for one in drawn if one.name == "tiny-exact"]
    assert [mark.low is None for mark in series.marks] == [False, True, False]
    assert cards(found, "sums") and "None" not in html(found)
    assert write_plots(found, tmp_path / "plots")


def test_published_points_name_their_source() -> None:
    found = published_table()
    assert "2503.04697" in found["source"]
    assert {point["origin"] for point in found["points"]} <= set(found["uncertainty"])
    series = {one.name: one for one in published_points("math500")}
    exact = series["L1-Exact (paper)"]
    assert (exact.marks[0].x, exact.marks[0].y) == (583, 0.706) and all(m.hollow for m in exact.marks)
    assert published_points("sums") == ()
