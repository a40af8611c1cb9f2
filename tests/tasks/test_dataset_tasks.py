"""Data files as tasks: splits, exclusions, limits, and errors that are all ours."""

import json
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
from rows import ROWS, lines, write

from lcpo.errors import ConfigError, LcpoError, MissingExtra, TaskError
from lcpo.tasks import evaluation, excluding, task, training
from lcpo.tasks.dataset import load, subset
from lcpo.types import Problem


class TestTasks:
    def test_evaluation_refuses_a_row_without_an_answer_and_keeps_duplicates(self, tmp_path: Path) -> None:
        source = write(tmp_path / "a.json", [*ROWS, ROWS[0]])
        assert len(evaluation(source).problems()) == 41
        broken = write(tmp_path / "b.json", [*ROWS, {"problem": "x", "answer": None}])
        with pytest.raises(TaskError, match=r"b\.json row 41, column answer: null answer; mend"):
            evaluation(broken)

    def test_verifier_and_chance_follow_the_options(self, tmp_path: Path) -> None:
        assert (evaluation(write(tmp_path / "a.json", ROWS)).verifier, evaluation(str(tmp_path / "a.json")).chance) == (
            "math",
            None,
        )
        rows = [{"question": f"{n}", "options": list("vwxyz"), "label": "E"} for n in range(3)]
        choice = evaluation(write(tmp_path / "b.json", rows))
        assert choice.verifier == "choice" and choice.chance == pytest.approx(0.2)
        with pytest.raises(TaskError, match="needs options for every problem"):
            evaluation(str(tmp_path / "a.json"), verifier="choice")

    def test_training_splits_are_seeded_disjoint_and_stable_under_more_data(self, tmp_path: Path) -> None:
        small = training(write(tmp_path / "a.json", ROWS[:20]), validation=0.2, name="x")
        train, held = small.problems("train"), small.problems("validation")
        assert len(held) == 4 and len(train) == 16
        assert not {p.id for p in train} & {p.id for p in held}
        other = training(str(tmp_path / "a.json"), validation=0.2, seed=1, name="x").problems("validation")
        assert {p.id for p in other} != {p.id for p in held}
        again = training(write(tmp_path / "b.json", ROWS[19::-1]), validation=0.2, name="x").problems("validation")
        assert {p.id for p in again} == {p.id for p in held}
        with pytest.raises(TaskError, match="has no test split, it has train, validation; name a test set"):
            small.problems("test")
        with pytest.raises(TaskError, match="share of the problems"):
            training(str(tmp_path / "a.json"), validation=1.0)

    def test_a_test_set_is_excluded_by_its_questions_whatever_its_answers_are(self, tmp_path: Path) -> None:
        options = ["red", "blue", "green"]
        rows = [{"question": f"Which, {n}?", "choices": options, "label": "A"} for n in range(30)]
        train = write(tmp_path / "a.json", rows)
        unlabelled = [{name: row[name] for name in ("question", "choices")} for row in rows[:3]]
        for held in (unlabelled, [{**row, "label": label} for row in unlabelled for label in ("", "2", {"x": 1})]):
            test = write(tmp_path / "t.json", held)
            assert training(train, exclude=[test]).load("train").dropped.counts == {"held by t.json": 3}

    def test_exclude_by_file_and_by_name_of_a_task(self, tmp_path: Path) -> None:
        test = write(tmp_path / "test.jsonl", lines([{"prompt": r["problem"]} | {"gold": None} for r in ROWS[:5]]))
        loaded = training(write(tmp_path / "a.json", ROWS), exclude=[test]).load("train")
        assert loaded.dropped.counts == {"held by test.jsonl": 5}
        assert excluding(task("sums"), [test]).load("test", 3).problems == task("sums").problems("test", 3)
        held = evaluation(str(tmp_path / "a.json"))
        assert len(excluding(held, [test]).problems()) == 35
        with pytest.raises(ConfigError, match=r"unknown task 'math50'\. Did you mean 'math500'"):
            training(str(tmp_path / "a.json"), exclude=["math50"])

    def test_limits_are_seeded_and_nested(self) -> None:
        problems = [Problem(str(n), str(n), ("1",)) for n in range(100)]
        ten, twenty = subset(problems, 10, seed=3), subset(problems, 20, seed=3)
        assert ten != problems[:10] and {p.id for p in ten} < {p.id for p in twenty}
        assert ten == sorted(ten, key=lambda p: int(p.id)) and subset(problems, 10, seed=4) != ten
        assert subset(problems, None, 0) == subset(problems, 1000, 0) == problems
        with pytest.raises(TaskError, match="at least 1"):
            subset(problems, 0, 0)

    def test_tasks_can_be_pickled(self, tmp_path: Path) -> None:
        held = evaluation(write(tmp_path / "a.json", ROWS))
        assert pickle.loads(pickle.dumps(held)) == held

    def test_everything_that_goes_wrong_is_ours(self, tmp_path: Path) -> None:
        for content in (
            "",
            "\x00",
            "{",
            "[[]]",
            "null",
            '{"a": [1], "b": [2]}',
            '[{"problem": {}, "answer": {}}]',
            "\ufeff",
        ):
            for name in ("x.json", "x.jsonl", "x.csv"):
                try:
                    load(write(tmp_path / name, content))
                except LcpoError as error:
                    assert "\n" not in str(error)

    def test_a_zip_with_several_folders_must_be_told_which(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("data/dev/a.json", json.dumps(ROWS))
            archive.writestr("data/test/a.json", json.dumps(ROWS))
        with pytest.raises(
            TaskError, match=r"several folders of data; name one: .*a\.zip::data/dev, .*a\.zip::data/test"
        ):
            load(str(tmp_path / "a.zip"))
        with pytest.raises(TaskError, match=r"holds nothing at 'data/tst'; name one: .*::data/test"):
            load(f"{tmp_path}/a.zip::data/tst")


class TestMissingExtras:
    @pytest.mark.parametrize(
        ("package", "source"), [("pyarrow", "a.parquet"), ("datasets", "hub:owner/name@abc::test")]
    )
    def test_a_missing_reader_names_the_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, source: str
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "a.parquet", "PAR1")
        with pytest.raises(MissingExtra, match=rf"{package} .*pip install 'lcpo\[train\]'"):
            load(source)
