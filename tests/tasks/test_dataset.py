"""Reading data: every format, the ways in which data sets write questions and answers, and how they go wrong."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from rows import ROWS, lines, write

from lcpo.errors import ConfigError, TaskError
from lcpo.tasks.columns import parse
from lcpo.tasks.dataset import key, load, without_instruction
from lcpo.types import Problem


def as_csv(rows: list[list[object]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def one(path: Path, row: dict[str, object], **how: object) -> Problem:
    return load(write(path / "one.json", [row]), **how).problems[0]  # type: ignore[arg-type]


class TestFormats:
    def test_all_formats_give_the_same_problems(self, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
        import pyarrow

        with_header = as_csv([["problem", "answer"], *([row["problem"], row["answer"]] for row in ROWS)])
        without = as_csv([[row["problem"], row["answer"]] for row in ROWS])
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "f.parquet")
        with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive:
            archive.writestr("data/test/rows.csv", with_header)
            archive.writestr("data/dev/rows.csv", with_header)
            archive.writestr("README.txt", "no data")
        sources = [
            write(tmp_path / "a.json", ROWS),
            write(tmp_path / "b.jsonl", lines(ROWS)),  # type: ignore[arg-type]
            write(tmp_path / "c.csv", with_header),
            write(tmp_path / "d.csv", without),
            write(tmp_path / "e.tsv", with_header.replace(",", "\t")),
            str(tmp_path / "f.parquet"),
            f"{tmp_path}/g.zip::data/test",
            f"{tmp_path}/g.zip::data/test/rows.csv",
            write(tmp_path / "h.json", {"data": ROWS, "version": 1}),
            write(tmp_path / "i.json", lines(ROWS)),  # type: ignore[arg-type]
            write(tmp_path / "j.jsonl", "\ufeff" + lines(ROWS).replace("\n", "\r\n")),  # type: ignore[arg-type]
        ]
        wanted = load(sources[0], name="x").problems
        assert len(wanted) == 40
        for source in sources[1:]:
            assert load(source, name="x").problems == wanted, source

    def test_a_folder_is_its_files_in_order_of_name(self, tmp_path: Path) -> None:
        write(tmp_path / "f/b.jsonl", lines(ROWS[5:]))  # type: ignore[arg-type]
        write(tmp_path / "f/a.json", ROWS[:5])
        write(tmp_path / "f/notes.txt", "not data")
        assert [p.answers[0] for p in load(str(tmp_path / "f")).problems] == [row["answer"] for row in ROWS]

    def test_json_lines_may_hold_odd_line_ends_and_csv_fields_may_hold_line_breaks(self, tmp_path: Path) -> None:
        row = {"problem": "one\u2028two\x85three", "answer": "1"}
        assert load(write(tmp_path / "a.jsonl", json.dumps(row, ensure_ascii=False))).problems[0].answers == ("1",)
        source = write(tmp_path / "b.csv", 'question,answer\n"first\nsecond, third",7\n')
        assert load(source).problems[0].question == "first\nsecond, third"

    def test_json_may_hold_columns(self, tmp_path: Path) -> None:
        wanted = load(write(tmp_path / "a.json", ROWS), name="x").problems
        columns = {name: [row[name] for row in ROWS] for name in ("problem", "answer")}
        pandas = {name: {str(i): cell for i, cell in enumerate(cells)} for name, cells in columns.items()}
        for held in (columns, pandas, {"meta": {"n": 40}, "rows": ROWS}):
            assert load(write(tmp_path / "c.json", held), name="x").problems == wanted
        with pytest.raises(TaskError, match="no column for the problem and the answer; it has train, test"):
            load(write(tmp_path / "s.json", {"train": ROWS, "test": ROWS}))

    def test_sha256_is_the_files_own(self, tmp_path: Path) -> None:
        import hashlib

        source = write(tmp_path / "a.json", ROWS)
        assert load(source).sha256 == {source: hashlib.sha256(Path(source).read_bytes()).hexdigest()}

    def test_hub_code_reads_a_local_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("datasets", reason="the hub is read by datasets")
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
        write(tmp_path / "set/test.jsonl", lines(ROWS))  # type: ignore[arg-type]
        loaded = load(f"hub:{tmp_path}/set::test", name="x")
        assert loaded.problems == load(str(tmp_path / "set/test.jsonl"), name="x").problems
        with pytest.raises(TaskError, match=r"cannot read hub:.*validaton"):
            load(f"hub:{tmp_path}/set::validaton")


class TestCells:
    @pytest.mark.parametrize(
        ("cell", "wanted"),
        [
            ("18", ("18",)),
            (" 18\n", ("18",)),
            ("She has 3 * 6 = <<3*6=18>>18 eggs.\n#### 18", ("18",)),
            ("so many\n#### 1,234,567", ("1234567",)),
            ("(1,234)", ("(1,234)",)),
            (142.0, ("142",)),
            (0.0, ("0",)),
            (-3.5, ("-3.5",)),
            (7, ("7",)),
            (10**25, (str(10**25),)),
            (["1/2", "0.5", "0.5"], ("1/2", "0.5")),
            (["9.6\n"], ("9.6",)),
            ([3, None], ("3",)),
            ("thus \\boxed{\\frac{1}{2}}.", ("\\frac{1}{2}",)),
            ("\\boxed{1} or rather \\boxed{2}", ("2",)),
        ],
    )
    def test_answers(self, tmp_path: Path, cell: object, wanted: tuple[str, ...]) -> None:
        assert one(tmp_path, {"question": "q", "answer": cell}).answers == wanted

    def test_a_solution_is_an_answer_only_by_its_mark(self, tmp_path: Path) -> None:
        rows = [
            {"problem": "a", "solution": "We get $\\boxed{\\sqrt{2}}$."},
            {"problem": "b", "solution": "It is left to the reader."},
            {"problem": "c", "solution": "unclosed \\boxed{1"},
        ]
        loaded = load(write(tmp_path / "s.json", rows))
        assert [p.answers for p in loaded.problems] == [("\\sqrt{2}",)]
        assert loaded.dropped.counts == {"empty answer": 2}

    def test_the_answer_column_wins_over_a_solution_and_an_empty_one_is_passed_over(self, tmp_path: Path) -> None:
        assert one(tmp_path, {"problem": "a", "solution": "\\boxed{1}", "answer": "2"}).answers == ("2",)
        row = {"question": "a", "options": ["x", "y"], "label": "B", "answer": None}
        assert one(tmp_path, row).answers == ("B",)

    @pytest.mark.parametrize("label", ["C", "c", "(C)", "C.", 2, 2.0, "third", [2], ["C"]])
    def test_labels_of_options(self, tmp_path: Path, label: object) -> None:
        row = {"question": "a", "choices": ["first", "second", "third", "fourth", "fifth"], "label": label}
        problem = one(tmp_path, row)
        assert problem.answers == ("C",)
        assert len(problem.options) == 5

    @pytest.mark.parametrize(
        "options",
        [
            ["one", "two"],
            ["(A)one", "(B) two"],
            ["A. one", "B. two"],
            {"B": "two", "A": "one"},
            {"text": ["one", "two"], "label": ["A", "B"]},
        ],
    )
    def test_options_lose_letters_of_their_own(self, tmp_path: Path, options: object) -> None:
        assert one(tmp_path, {"question": "q", "options": options, "answer": "A"}).options == ("one", "two")

    def test_options_that_merely_begin_with_a_letter_stay(self, tmp_path: Path) -> None:
        row = {"question": "q", "options": ["A. flat", "C. sharp"], "answer": "A"}
        assert one(tmp_path, row).options == ("A. flat", "C. sharp")

    def test_a_label_that_is_none_of_the_options_is_an_error_with_its_row(self, tmp_path: Path) -> None:
        rows = [{"question": "q", "options": ["x", "y"], "answer": a} for a in ("A", "C")]
        with pytest.raises(
            TaskError, match=r"o\.json row 2, column answer: answer 'C' is none of its 2 options \(A-B, 0-1\)"
        ):
            load(write(tmp_path / "o.json", rows))

    def test_passage_and_question_are_joined(self, tmp_path: Path) -> None:
        row = {"passage": "Eight students.", "question": "Who?", "options": list("vwxyz"), "label": "E"}
        problem = one(tmp_path, row)
        assert problem.question == "Eight students.\n\nWho?"
        assert problem.answers == ("E",)

    def test_mmlu_shape_without_a_header(self, tmp_path: Path) -> None:
        source = write(tmp_path / "m.csv", as_csv([["Sum of 1, 2?", "3", "4", "5", "6", "A"], ["Next?", *"1234", "D"]]))
        first, second = load(source).problems
        assert (first.question, first.options, first.answers) == ("Sum of 1, 2?", ("3", "4", "5", "6"), ("A",))
        assert second.answers == ("D",)

    def test_gpqa_shape_shuffles_by_seed_and_keeps_the_right_answer(self, tmp_path: Path) -> None:
        rows = [
            {
                "Question": f"Q{n}",
                "Correct Answer": "right ",
                **{f"Incorrect Answer {k}": f"wrong {k}" for k in (1, 2, 3)},
            }
            for n in range(30)
        ]
        source = write(tmp_path / "g.json", rows)
        problems = load(source).problems
        places = [p.options["ABCD".index(p.answers[0])] for p in problems]
        assert set(places) == {"right"} and all(len(p.options) == 4 for p in problems)
        assert load(source).problems == problems
        other = load(source, option_seed=1).problems
        assert [p.id for p in other] == [p.id for p in problems]
        assert [p.options for p in other] != [p.options for p in problems]

    def test_a_conversation_gives_its_last_user_message(self, tmp_path: Path) -> None:
        prompt = [{"role": "system", "content": "s"}, {"role": "user", "content": "What is 1 + 1?"}]
        assert one(tmp_path, {"prompt": prompt, "answer": 2}).question == "What is 1 + 1?"

    def test_difficulty_becomes_the_size(self, tmp_path: Path) -> None:
        assert one(tmp_path, {"problem": "a", "answer": "1", "difficulty": 5.0}).size == "5"
        assert one(tmp_path, {"problem": "a", "answer": "1"}).size is None


class TestColumns:
    def test_mapping(self, tmp_path: Path) -> None:
        row = {"q": "what?", "a": "1", "w": "2", "x": "3", "key": "B", "problem": "not this"}
        mapping = parse("problem=q, options=a|w|x, answer=key")
        problem = one(tmp_path, row, columns=mapping)
        assert (problem.question, problem.options, problem.answers) == ("what?", ("1", "2", "3"), ("B",))

    def test_named_columns_make_a_header(self, tmp_path: Path) -> None:
        source = write(tmp_path / "h.csv", as_csv([["text", "Result"], ["what?", "7"]]))
        problem = load(source, columns=parse("problem=text,answer=Result")).problems[0]
        assert (problem.question, problem.answers) == ("what?", ("7",))

    def test_mapping_by_place(self, tmp_path: Path) -> None:
        source = write(tmp_path / "p.csv", as_csv([["1", "what?", "x", "7"], ["2", "which?", "y", "8"]]))
        assert load(source, columns=parse("problem=1,answer=3")).problems[1].answers == ("8",)

    def test_a_missing_column_names_those_that_exist_and_the_nearest(self, tmp_path: Path) -> None:
        source = write(tmp_path / "a.json", [{"text": "t", "result": "r"}])
        with pytest.raises(
            TaskError,
            match=r"for the problem and the answer; it has text, result\..*--columns problem=text,answer=result",
        ):
            load(source)
        with pytest.raises(TaskError, match=r"no column 'txt' \(problem\)\. Did you mean 'text'\? It has text, result"):
            load(source, columns={"problem": "txt"})

    def test_roles_that_do_not_exist(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown column role 'anser'\. Did you mean 'answer'"):
            parse("anser=label")
        with pytest.raises(ConfigError, match="is not role=column"):
            parse("problem")
        assert parse("") == parse(None) == {}

    def test_a_csv_that_cannot_be_recognised(self, tmp_path: Path) -> None:
        source = write(tmp_path / "p.csv", "1,what?,7\n")
        with pytest.raises(
            TaskError, match=r"3 columns without names, 0 to 2\. Name them: --columns problem=1,answer=2"
        ):
            load(source)


class TestDropping:
    def test_counts(self, tmp_path: Path) -> None:
        rows = [
            {"problem": "What is 1 + 1?", "answer": "2"},
            {"problem": "What  is\n1+1?", "answer": "2"},
            {"problem": "a", "answer": None},
            {"problem": "b", "answer": "  "},
            {"problem": "", "answer": "3"},
            {"problem": "What is 2 + 2?\nPut your final answer within \\boxed{}.", "answer": "4"},
            {"problem": "What is 3 + 3?", "answer": "6"},
        ]
        test = [Problem("t", "What is 2 + 2?", ("4",))]
        loaded = load(write(tmp_path / "d.json", rows), exclude={"tests/quiz.json": test})
        assert [p.answers[0] for p in loaded.problems] == ["2", "6"]
        assert loaded.dropped.counts == {
            "duplicate": 1,
            "null answer": 1,
            "empty answer": 1,
            "no question": 1,
            "held by quiz.json": 1,
        }

    def test_what_a_test_set_holds_is_no_duplicate_and_test_sets_are_told_apart(self, tmp_path: Path) -> None:
        rows = [*ROWS[:3], ROWS[0], ROWS[1], ROWS[2], ROWS[2]]
        tests = {
            "hub:owner/quiz@abc::main/test": [Problem("t", "What is 0 + 0?", ("0",))],
            "a/test.json": [Problem("t", "What is 1 + 1?", ("2",))],
            "b/test.json": [Problem("t", "What is 1 + 1?", ("2",)), Problem("t", "What is 9 + 9?", ("18",))],
        }
        loaded = load(write(tmp_path / "d.json", [*rows, ROWS[9]]), exclude=tests)
        assert loaded.dropped.counts == {
            "held by owner/quiz::main/test": 2,
            "held by a/test.json": 2,  # named whole, since b/test.json is there too; the first that holds it counts
            "held by b/test.json": 1,
            "duplicate": 2,
        }

    def test_answers_that_contradict_each_other_are_named(self, tmp_path: Path) -> None:
        asked = "How many ways are there?"
        rows = [{"problem": asked, "answer": "384"}, *ROWS, {"problem": asked + "\n", "answer": 385}]
        source = write(tmp_path / "c.json", rows)
        first = f"1; first: {source} row 1, column answer says 384, {source} row 42, column answer says 385"
        assert load(source).notes == (f"questions whose answers contradict each other (the first is kept): {first}",)
        kept = load(source, duplicates="keep")
        assert len(kept.problems) == 42
        assert kept.notes == (f"questions whose answers contradict each other (all are kept): {first}",)

    @pytest.mark.parametrize(
        "golds", [("384", 384.0), ("1/2", "0.5"), ("\\frac{1}{2}", "$\\dfrac12$"), (["7", "8"], "8"), ("a b", "a  b")]
    )
    def test_the_same_value_written_otherwise_is_no_contradiction(
        self, tmp_path: Path, golds: tuple[object, ...]
    ) -> None:
        loaded = load(write(tmp_path / "c.json", [{"problem": "q", "answer": gold} for gold in golds]))
        assert loaded.notes == () and loaded.dropped.counts == {"duplicate": 1}

    def test_options_contradict_by_text_and_not_by_letter(self, tmp_path: Path) -> None:
        rows = [
            {"question": "q", "options": ["x", "y"], "answer": "A"},
            {"question": "q", "options": ["y", "x"], "answer": "B"},
        ]
        assert load(write(tmp_path / "c.json", rows)).notes == ()
        rows[1]["answer"] = "A"
        assert "column answer says x, " in load(write(tmp_path / "d.json", rows)).notes[0]

    @pytest.mark.parametrize("gold", ["\\boxed{W(n)=1", "\\frac{1}{2", "$x"])
    def test_golds_that_cannot_be_graded_against_are_named(self, tmp_path: Path, gold: str) -> None:
        source = write(tmp_path / "g.json", [*ROWS, {"problem": "q", "answer": gold}])
        (note,) = load(source).notes
        assert note.startswith(f"gold answers that cannot be graded against as they stand: 1; first: {source} row 41, ")
        assert load(source, verifier="exact").notes == ()

    def test_joined_sources_share_one_memory(self, tmp_path: Path) -> None:
        first, second = write(tmp_path / "a.json", ROWS[:30]), write(tmp_path / "b.json", ROWS[20:])
        loaded = load([first, second])
        assert len(loaded.problems) == 40 and loaded.dropped.counts == {"duplicate": 10}
        assert set(loaded.sha256) == {first, second}
        assert loaded.problems[0].id.startswith("a-") and loaded.problems[-1].id.startswith("b-")

    def test_same_question_with_other_options_is_another_problem(self, tmp_path: Path) -> None:
        rows = [{"question": "Which?", "options": o, "answer": "A"} for o in (["x", "y"], ["x", "z"], ["y", "x"])]
        loaded = load(write(tmp_path / "o.json", rows))
        assert len(loaded.problems) == 2 and loaded.dropped.counts == {"duplicate": 1}

    def test_kept_duplicates_have_ids_of_their_own(self, tmp_path: Path) -> None:
        problems = load(write(tmp_path / "a.json", [ROWS[0]] * 3), duplicates="keep").problems
        assert len({p.id for p in problems}) == 3
        assert problems[2].id == f"{problems[0].id}-3"

    def test_ids_do_not_depend_on_place_or_company(self, tmp_path: Path) -> None:
        forward = load(write(tmp_path / "a.json", ROWS), name="x").problems
        backward = load(write(tmp_path / "b.json", ROWS[:0:-1]), name="x").problems
        assert {p.id: p for p in backward}.items() <= {p.id: p for p in forward}.items()

    def test_nothing_left_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError, match="no problem is left; dropped were 1 null answer"):
            load(write(tmp_path / "a.json", [{"problem": "a", "answer": None}]))

    def test_an_instruction_is_taken_off_only_at_the_end(self) -> None:
        asked = (
            "Solve \\boxed{x} = 2. What is x?\nPlease reason step by step, and put your final answer within \\boxed{}."
        )
        assert without_instruction(asked) == "Solve \\boxed{x} = 2. What is x?"
        assert without_instruction("Put it in \\boxed{}. Then what is x?") == "Put it in \\boxed{}. Then what is x?"
        assert key(Problem("", asked, ())) == key(Problem("", "Solve \\boxed{x} = 2.  What is x?", ()))


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.jsonl", '{"problem": "a", "answer": 1}\n{"problem": "b"\n', r"a\.jsonl line 2 is not JSON"),
            ("a.jsonl", '{"problem": "a", "answer": 1}\n\n[1]\n', r"a\.jsonl line 3 is a list, wanted is an object"),
            ("a.json", '[{"problem": "a",\n "answer": }]', r"a\.json line 2 is not JSON"),
            ("a.json", '[{"problem": "a", "answer": 1}, "b"]', r"a\.json row 2 is a str"),
            ("a.json", "3", r"it holds a int, wanted is an array of objects"),
            ("a.json", "[" * 100_000, r"a\.json (is not a table|line 1 is not JSON)"),
            ("a.json", "[]", "holds no rows"),
            ("a.csv", "problem,answer\na,1\nb\n", r"a\.csv line 3 has 1 fields, wanted are 2"),
            ("a.csv", 'problem,answer\na,1\n"b,2\n', r"a\.csv line 3 is malformed"),
            ("a.txt", "problem,answer\n", r"file type '\.txt' is not read; allowed are \.json"),
            ("a.parquet", "PAR0", "a.parquet is not Parquet"),
            ("a.zip", "PK no", "file type '.zip' is not read"),
        ],
    )
    def test_malformed_files(self, tmp_path: Path, name: str, content: str, message: str) -> None:
        with pytest.raises(TaskError, match=message) as caught:
            load(write(tmp_path / name, content))
        assert "\n" not in str(caught.value)

    def test_text_that_is_not_utf8(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(b'{"problem": "a", "answer": 1}\n{"problem": "\xff", "answer": 1}\n')
        with pytest.raises(TaskError, match=r"line 2 is not UTF-8"):
            load(str(tmp_path / "a.jsonl"))

    def test_missing_things(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError, match=r"no such file: nowhere\.json"):
            load("nowhere.json")
        with pytest.raises(TaskError, match="hub:owner/name@REVISION"):
            load("openai/gsm8k")
        with pytest.raises(TaskError, match="lacks a revision"):
            load("hub:openai/gsm8k::main/test")
        with pytest.raises(TaskError, match="lacks a split"):
            load("hub:openai/gsm8k@abc")
        with pytest.raises(TaskError, match="is not a zip"):
            load(write(tmp_path / "a.json", ROWS) + "::b")
        with pytest.raises(TaskError, match="no data given"):
            load([])
        (tmp_path / "empty").mkdir()
        with pytest.raises(TaskError, match="holds no data files"):
            load(str(tmp_path / "empty"))
