r"""LaTeX with single backslashes in JSON: mended and said; correct files stay as they are."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import write

from lcpo.errors import TaskError
from lcpo.tasks.dataset import load
from lcpo.tasks.escapes import mend_json, mended

BROKEN = [
    r"\frac{1}{2}",
    r"\boxed{3}",
    r"\text{north}",
    r"\theta",
    r"x \neq 5",
    r"\sqrt{2}",
    r"\left(\frac{a}{b}\right)",
    r"\nabla f",
    r"2 \times 3 \cdot 4",
    r"\underline{a} \beta",
    r"\(x + y\)",
    r"\{1, 2\} and 50\%",
    r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
    r"\alpha \nu \to \tan",
    r"Let $\rho$ be.\nFind $\pi$.",
]
WHOLE = [
    "one\ntwo",
    "a\ttab\ton",
    "caf\u00e9 \u2028",
    'a "word"',
    "C:\\new\\table\\bin",
    "see\neq. (4)",
    "x\nuntil",
    "\r\nright",
]


@pytest.mark.parametrize("latex", BROKEN)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_single_backslashes_are_mended_and_said(tmp_path: Path, latex: str, suffix: str) -> None:
    row = f'{{"problem": "Say {latex}", "answer": "{latex}"}}'
    rows = f'[\n{{"problem": "p\\n", "answer": "\\\\frac{{1}}{{3}}"}},\n{row}]' if suffix == "json" else f"{row}\n"
    loaded = load(write(tmp_path / f"b.{suffix}", rows))
    wanted = latex.replace(r"be.\n", "be.\n")
    assert loaded.problems[-1].question == f"Say {wanted}"
    assert loaded.problems[-1].answers == (wanted if "\\boxed" not in wanted else "3",)
    line = 3 if suffix == "json" else 1
    assert len(loaded.notes) == 1
    assert loaded.notes[0].startswith(f"{tmp_path}/b.{suffix} line {line}: LaTeX with a single backslash")
    assert "; 2 texts were mended" in loaded.notes[0]


@pytest.mark.parametrize("text", WHOLE)
def test_texts_that_are_as_they_should_be_stay(tmp_path: Path, text: str) -> None:
    loaded = load(write(tmp_path / "w.json", [{"problem": f"{text}?", "answer": "1"}]))
    assert loaded.problems[0].question == f"{text}?".strip()
    assert loaded.notes == ()


def test_other_formats_lose_control_characters_that_begin_a_command(tmp_path: Path) -> None:
    source = write(tmp_path / "c.csv", 'question,answer\n"What is \frac{1}{2} of 8?",4\n"And \text{half} of 6?",3\n')
    assert [p.question for p in load(source).problems] == ["What is \\frac{1}{2} of 8?", "And \\text{half} of 6?"]


def test_json_that_is_broken_otherwise_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"x\.json line 2 is not JSON"):
        load(write(tmp_path / "x.json", '[{"problem": "\\sqrt{2}",\n "answer": }]'))


TEXT = st.text(st.sampled_from('\\"/bfnrtu\n\t aeqxo{}1&é'), max_size=30)


@given(st.lists(TEXT, max_size=4))
def test_json_that_a_library_wrote_keeps_its_backslashes(texts: list[str]) -> None:
    """Only control characters before a command may change, and what comes out is JSON again."""
    for ascii_ in (True, False):
        after = json.loads(mend_json(json.dumps(texts, ensure_ascii=ascii_))[0])
        for before, now in zip(texts, after, strict=True):
            assert now == before or any(control in before for control in "\n\t")
            assert now == mended(before)


@given(TEXT)
def test_mending_twice_is_mending_once(text: str) -> None:
    assert mended(mended(text)) == mended(text)
