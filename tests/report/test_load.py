"""Reading evaluation folders: labels, joins, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from folders import folder
from made_up import made_up

from lcpo.errors import ConfigError, TaskError
from lcpo.evaluate.records import read_samples
from lcpo.report.findings import Alarm, alarms, cards, compared
from lcpo.report.load import PROBLEMS_SHOWN, curves_of, load

BUDGETS = (8, 16, 32)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"holds no results\.json; give a folder that  lcpo eval  or  lcpo train  wrote"
    ):
        load([tmp_path])
    with pytest.raises(ConfigError, match="at least one"):
        load([])


def test_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"schema": 99}')
    with pytest.raises(ConfigError, match="not a result of schema 2"):
        load([tmp_path])
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ConfigError, match="no JSON"):
        load([tmp_path])


def test_results_that_lack_what_a_report_reads_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "ev", made_up(1, 1)) / "results.json"
    whole = json.loads(path.read_text())
    for name in ("manifest", "dials", "comparisons"):
        path.write_text(json.dumps({key: value for key, value in whole.items() if key != name}))
        with pytest.raises(ConfigError, match=rf"results\.json lacks {name}; evaluate again"):
            load([path.parent])
    for row in whole["rows"]:
        del row["mare"], row["seen"]
    path.write_text(json.dumps(whole))
    with pytest.raises(ConfigError, match="lacks mare, seen"):
        load([path.parent])


def test_rows_of_the_first_schema_have_nulls_where_they_say_nothing(tmp_path: Path) -> None:
    path = folder(tmp_path / "old", made_up(1, 1))
    old = json.loads((path / "results.json").read_text())
    old["schema"] = 1
    for row in old["rows"]:
        del row["inert"], row["grade_timeouts"], row["requests_failed"]
    (path / "results.json").write_text(json.dumps(old))
    rows = load([path]).curves[0].rows
    assert all(row["inert"] is row["grade_timeouts"] is row["requests_failed"] is None for row in rows)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    one = json.dumps(next(iter(made_up(1, 1))).json())
    path.write_text(f"{one}\n{one[:50]}\n")
    with pytest.raises(TaskError, match="line 2"):
        list(read_samples(tmp_path))


def test_fields_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    one = next(iter(made_up(1, 1)))
    path.write_text(json.dumps({**one.json(), "novelty": 1}))
    assert list(read_samples(tmp_path)) == [one]


def test_labels_say_no_more_than_is_needed(tmp_path: Path) -> None:
    samples = list(made_up(2, 1, BUDGETS))
    found = load([folder(tmp_path / "a", samples)])
    assert [c.label for c in found.curves][:4] == ["tiny", "tiny-exact", "tiny-max", "tiny · s1_fair"]
    seeds = [replace(s, run=f"exact-{i}") for i in range(2) for s in samples if s.model == "tiny-exact"]
    assert [c.label for c in load([folder(tmp_path / "b", seeds)]).curves] == [
        "tiny-exact (exact-0)",
        "tiny-exact (exact-1)",
    ]
    both = [replace(s, kind=kind) for kind in ("exact", "max") for s in samples if s.model == "tiny-exact"]
    assert [c.label for c in load([folder(tmp_path / "c", both)]).curves] == ["tiny-exact, exact", "tiny-exact, max"]
    worded = [replace(s, wording=w) for w in ("l1", "use") for s in samples if s.model == "tiny-exact"]
    assert [c.label for c in load([folder(tmp_path / "d", worded)]).curves] == ["tiny-exact, “l1”", "tiny-exact, “use”"]


def test_the_same_run_evaluated_twice_is_not_mixed(tmp_path: Path) -> None:
    samples = [s for s in made_up(3, 2, BUDGETS) if s.model == "tiny-exact"]
    found = load([folder(tmp_path / "one", samples), folder(tmp_path / "two", samples)], resamples=10)
    assert {row["run"] for row in found.results["rows"]} == {"exact-0 [one]", "exact-0 [two]"}
    assert all(row["samples"] == 6 for row in found.results["rows"])
    assert {c["accuracy_difference"] for c in found.results["comparisons"]} == {0.0}


def test_nor_is_a_run_evaluated_again_at_other_budgets(tmp_path: Path) -> None:
    again = [folder(tmp_path / str(b), (s for s in made_up(3, 2, (b,)) if s.model == "tiny-exact")) for b in (8, 16)]
    found = load(again, resamples=10)
    assert [(row["run"], row["budget"]) for row in found.results["rows"]] == [("exact-0 [8]", 8), ("exact-0 [16]", 16)]
    assert len(found.curves) == 2


def test_nor_where_a_folder_holds_no_samples(tmp_path: Path) -> None:
    samples = [s for s in made_up(3, 2, BUDGETS) if s.model in ("tiny", "tiny-exact")]
    others = [replace(s, run="other") if s.run == "exact-0" else s for s in samples]
    one, two = folder(tmp_path / "one", samples), folder(tmp_path / "two", others)
    (two / "samples.jsonl").unlink()
    found = load([one, two])
    runs = {"base [one]", "base [two]", "exact-0", "other"}
    for name in ("rows", "dials", "detectors", "behaviour"):
        assert {line["run"] for line in found.results[name]} == runs, name
    sides = {line[side] for line in found.results["comparisons"] for side in "ab"}
    assert sides == runs
    assert {key.run for key in found.texts.shown} == {"base [one]", "exact-0"}
    for curve in found.curves:
        assert len({row["budget"] for row in curve.rows}) == len(curve.rows)
    assert found.results["rows"][0]["accuracy"] == json.loads((one / "results.json").read_text())["rows"][0]["accuracy"]


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    samples = list(made_up(2, 1, BUDGETS))
    assert load([folder(tmp_path / k / "ev", samples) for k in "ab"], resamples=5).names == ["ev (1)", "ev (2)"]


def test_a_joined_report_equals_one_evaluation(tmp_path: Path) -> None:
    samples = list(made_up(4, 2, BUDGETS))
    parts = [folder(tmp_path / name, [s for s in samples if s.run == name]) for name in ("base", "exact-0", "max-0")]
    whole = load([folder(tmp_path / "all", samples)])
    joined = load(parts, resamples=50)
    for name in ("rows", "dials", "comparisons", "detectors", "behaviour"):
        assert joined.results[name] == whole.results[name], name


def test_few_texts_are_kept(tmp_path: Path) -> None:
    found = load([folder(tmp_path / "a", made_up(9, 3, BUDGETS))])
    for problems in found.texts.shown.values():
        assert len(problems) <= PROBLEMS_SHOWN
    assert all(len(lengths) == 27 for lengths in found.texts.lengths.values())


def test_budgets_ascend_and_none_is_last() -> None:
    names = dict.fromkeys(("run", "model", "task", "method", "wording"), "x")
    base = {**names, "kind": "exact", "scope": "response", "temperature": 1.0}
    (curve,) = curves_of([{**base, "budget": b} for b in (64, None, 8)])
    assert [row["budget"] for row in curve.rows] == [8, 64, None]


def test_cards_say_one_thing_each_with_the_rows_numbers(tmp_path: Path) -> None:
    samples = [
        replace(s, useless_tokens=s.budget // 8, changed=(s.budget > 8,) * 5) if s.budget else s
        for s in made_up(60, 2, (8, 12, 32, 64))
    ]
    found = load([folder(tmp_path / "a", samples)])
    said = {card.title: {label: (figure, note) for label, figure, note in card.lines} for card in cards(found, "sums")}
    rows = {row["budget"]: row for row in next(c for c in found.curves if c.label == "tiny-exact").rows}
    assert all(
        set(said[title]) == {"tiny", "tiny-exact", "tiny-max"} for title in ("Accuracy", "Filler", "Useless steps")
    )
    assert said["Asked for, and used"]["tiny-exact"] == (
        f"{rows[8]['tokens_mean']:.0f} to {rows[64]['tokens_mean']:.0f}", "8 to 64"
    )  # fmt: skip
    assert set(said["Misses the budget by"]) == {"tiny", "tiny-exact"} and set(said["Over the maximum"]) == {"tiny-max"}
    assert (
        said["Misses the budget by"]["tiny-exact"][1]
        == f"{100 * rows[12]['mare']:.0f} % where training drew no such budget"
    )
    assert set(said["Good enough"]) == {"tiny-exact", "tiny-max"}  # tiny follows no budget
    assert said["Inert thought"]["tiny-exact"] == ("100 %", "at 8")
    (about,) = [card.about for card in cards(found, "sums") if card.title == "Accuracy"]
    assert about.endswith("Guessing: 1 %.")


def test_what_was_not_measured_has_no_card(tmp_path: Path) -> None:
    titles = {card.title for card in cards(load([folder(tmp_path / "a", made_up(3, 1, (8, 32)))]), "sums")}
    assert "Filler" in titles and not titles & {"Inert thought", "Useless steps"}


def test_comparisons_are_counted_for_each_dial(tmp_path: Path) -> None:
    lines = dict(compared(load([folder(tmp_path / "a", made_up(30, 2, (8, 12, 32, 64)))]), "sums"))
    assert set(lines) == {"tiny", "tiny-exact", "tiny-max"}
    assert any(line.startswith("tiny · s1_fair: ") and "places" in line for line in lines["tiny-exact"])


def test_alarms_are_one_line_for_each_curve_and_detector() -> None:
    def line(detector: str, budget: int | None, value: float, fired: bool = True) -> dict[str, object]:
        return {
            "detector": detector,
            "budget": budget,
            "value": value,
            "threshold": 0.3,
            "fired": fired,
            "message": str(value),
        }

    looked = [
        ("a", line("padding", 8, 0.4)), ("a", line("padding", 16, 0.5)), ("a", line("padding", 32, 0.1, fired=False)),
        ("b", line("collapse", None, 0.01)),
    ]  # fmt: skip
    assert alarms(looked) == [
        Alarm("a", "padding", (8, 16), "0.5"), Alarm("b", "one length at every budget", (), "0.01"),
    ]  # fmt: skip
