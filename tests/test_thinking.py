"""Where the thought ends, in ids and in text; what counts as length."""

import functools
import pickle
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lcpo.budgets import length
from lcpo.thinking import CLOSE, Marks, Parts, eos_ids, split_ids, split_text
from real_tokenizers import KINDS, build, decode, encode, marks_of

ONE = Marks(open=(1,), close=(2,), eos=frozenset({0}))
MANY = Marks(open=(7, 8), close=(9, 8), eos=frozenset({0, 5}))


@pytest.mark.parametrize(
    ("ids", "marks", "parts"),
    [
        ([1, 4, 4, 2, 6, 6, 0], ONE, Parts(2, 2, 7, True, True)),  # <think> 4 4 </think> 6 6 EOS
        ([4, 4, 2, 6, 0], ONE, Parts(2, 1, 5, True, True)),  # the template opened the thought
        ([1, 2, 6, 0], ONE, Parts(0, 1, 4, True, True)),  # an answer without a thought
        ([1, 4, 4, 4], ONE, Parts(3, 0, 4, False, False)),  # cut off inside the thought
        ([1, 4, 2, 6, 6], ONE, Parts(1, 2, 5, True, False)),  # cut off inside the answer
        ([1, 4, 2, 6, 0, 3, 3, 3], ONE, Parts(1, 1, 5, True, True)),  # padding is not counted
        ([1, 4, 2, 6, 2, 6, 0], ONE, Parts(1, 3, 7, True, True)),  # only the first closing tag counts
        ([1, 4, 0, 2, 6], ONE, Parts(1, 0, 3, False, True)),  # EOS inside the thought
        ([], ONE, Parts(0, 0, 0, False, False)),
        ([0], ONE, Parts(0, 0, 1, False, True)),
        ([7, 8, 4, 9, 4, 9, 8, 6, 5], MANY, Parts(3, 1, 9, True, True)),  # tags of several tokens, a second EOS id
    ],
)
def test_a_response_splits_into_its_parts(ids: list[int], marks: Marks, parts: Parts) -> None:
    assert split_ids(ids, marks) == parts


@given(st.lists(st.integers(0, 4), max_size=30), st.lists(st.just(3), max_size=5))
def test_the_length_ignores_what_follows_eos_and_never_exceeds_what_was_generated(
    ids: list[int], pad: list[int]
) -> None:
    assert length([*ids, 0], ONE) == length([*ids, 0, *pad], ONE) <= len(ids) + 1
    assert length(ids, ONE, "thinking") <= length(ids, ONE)


def test_scopes_count_different_things() -> None:
    ids = [1, 4, 4, 4, 2, 6, 6, 0]
    assert length(ids, ONE, "response") == 8
    assert length(ids, ONE, "thinking") == 3


@pytest.mark.parametrize(
    ("text", "thinking", "thought", "answer"),
    [
        ("<think>a b</think> 12", "auto", "a b", " 12"),
        ("a b</think> 12", "auto", "a b", " 12"),
        ("a</think>12</think>13", "auto", "a", "12</think>13"),
        ("<think>a b 12", "auto", "a b 12", None),
        ("12", "auto", "", "12"),
        ("a b 12", True, "a b 12", None),
        ("a b</think>12", True, "a b", "12"),
        ("<think>a</think>12", False, "", "<think>a</think>12"),
        ("\n <think>a</think>12", "auto", "a", "12"),
        ("b<think>a</think>12", "auto", "b<think>a", "12"),  # only white space may stand before an opening tag
    ],
)
def test_text_splits_the_same_way(text: str, thinking: object, thought: str, answer: str | None) -> None:
    assert split_text(text, thinking) == (thought, answer)  # type: ignore[arg-type]


def test_the_tokenizers_here_write_a_closing_tag_in_the_ways_that_matter() -> None:
    qwen, added, whole = build("qwen"), build("added"), build("whole")
    last = encode(qwen, "19.</think>\n\nIt is")
    pieces = [decode(qwen, [token]) for token in last]
    assert ".</" in pieces and ">\n\n" in pieces
    assert marks_of(added).close == tuple(encode(added, CLOSE)) and len(marks_of(added).close) == 1
    assert len(encode(whole, CLOSE)) == 1 and marks_of(whole).close == ()
    assert [decode(whole, [token]) for token in encode(whole, "</think>\n\n")] == ["</think>\n\n"]


@pytest.mark.parametrize(
    ("kind", "text", "thinking", "answer"),
    [
        ("qwen", "<think>\n1 2 3\n</think>\n\n4 5", "1 2 3\n", "4 5"),
        ("qwen", "1 2.</think>\n\n4", "1 2", "4"),  # ".</" holds a character of the tag and belongs to it
        ("qwen", "1</think>4", "1", "4"),
        ("qwen", "1</think>\n\n", "1", ""),
        ("added", "<think>\n1 2 3\n</think>\n\n4 5", "\n1 2 3\n", "\n\n4 5"),
        ("whole", "1 2 3</think>\n\n4", "1 2 3", "4"),
        ("gpt2", "<think> 1 2</think> 4", " 1 2", " 4"),
    ],
)
def test_tokens_beside_a_merged_tag(kind: str, text: str, thinking: str, answer: str) -> None:
    tokenizer = build(kind)
    ids = [*encode(tokenizer, text), tokenizer.eos_token_id]
    parts = split_ids(ids, marks_of(tokenizer))
    assert (parts.closed, parts.ended, parts.response) == (True, True, len(ids))
    assert decode(tokenizer, ids[len(ids) - 1 - parts.answer : -1]).strip() == answer.strip()
    assert parts.thinking == len(encode(tokenizer, thinking))
    assert length(ids, marks_of(tokenizer), "thinking") == parts.thinking


TEXT = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "</think>\n\n",
            ".</",
            "think",
            ">",
            "<",
            "/",
            "\n\n",
            " ",
            "12",
            "é",
            "思",
            "🙂",
            "It is",
            "(",
        ]
    ),
    max_size=14,
).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXT)
@example(text=" \n" * 40 + "<think>12</think>\n\n4")
@example(text="\n".join(["It is 12 (é)"] * 60) + ".</think>\n\n4")
def test_ids_and_text_are_cut_at_the_same_place(kind: str, text: str) -> None:
    tokenizer = build(kind)
    body = encode(tokenizer, text)
    text = decode(tokenizer, body)  # as the grader reads it
    marks = marks_of(tokenizer)
    parts = split_ids([*body, tokenizer.eos_token_id, *body], marks)
    thought, answer = split_text(text, True)
    assert parts.closed == (CLOSE in text) == (answer is not None)
    assert parts.response == len(body) + 1
    if answer is None:
        assert parts.answer == 0
        assert thought.endswith(decode(tokenizer, body[len(body) - parts.thinking :]).replace("\ufffd", ""))
        return
    after = body[len(body) - parts.answer :]
    rest = decode(tokenizer, body[: len(body) - parts.answer])
    assert CLOSE in rest and CLOSE not in decode(tokenizer, body[: len(body) - parts.answer - 1])
    assert text == rest + decode(tokenizer, after) or kind == "llama"  # which drops a space at the start
    assert answer.endswith(decode(tokenizer, after))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_ids_that_no_tokenizer_would_write_are_cut_where_their_text_is(kind: str, data: st.DataObject) -> None:
    """A model may write any ids: a tag in single characters, half of a character."""
    tokenizer = build(kind)
    pieces = [encode(tokenizer, piece) for piece in ("<", "/", "t", "h", "i", "n", "k", ">", "12", "é", ">\n\n", ".</")]
    spelled = [token for letter in CLOSE for token in encode(tokenizer, letter)]
    piece = st.one_of(st.sampled_from(pieces), st.just(spelled), st.integers(5, 300).map(lambda i: [i]))
    body = [token for part in data.draw(st.lists(piece, max_size=20)) for token in part]
    parts = split_ids(body, marks := marks_of(tokenizer))
    assert parts.closed == (CLOSE in decode(tokenizer, body))
    assert parts.thinking + parts.answer <= parts.response == len(body)
    if parts.closed and not marks.close:
        assert CLOSE in decode(tokenizer, body[: len(body) - parts.answer])
        assert CLOSE not in decode(tokenizer, body[: len(body) - parts.answer - 1])


def test_a_tag_of_its_own_is_found_without_decoding() -> None:
    tokenizer = build("added")
    read: list[int] = []

    def counted(ids: Sequence[int]) -> str:
        read.append(len(ids))
        return decode(tokenizer, ids)

    marks = Marks.of(functools.partial(encode, tokenizer), {tokenizer.eos_token_id}, counted)
    ids = encode(tokenizer, "<think>" + "12 + 7 = 19. " * 500 + "</think>\n\n19")
    parts = split_ids(ids, marks)
    assert parts.closed and parts.thinking > 3000
    assert sum(read) <= 64  # the head of the response, for its opening tag


def test_a_merged_tag_is_found_in_about_two_readings_of_the_response() -> None:
    tokenizer = build("qwen")
    read: list[int] = []

    def counted(ids: Sequence[int]) -> str:
        read.append(len(ids))
        return decode(tokenizer, ids)

    marks = Marks.of(functools.partial(encode, tokenizer), {tokenizer.eos_token_id}, counted)
    for before, after in ((500, 1), (1, 500), (250, 250)):
        ids = encode(tokenizer, "12 + 7 = 19. " * before + "</think>\n\n" + "19 is it. " * after)
        read.clear()
        assert split_ids(ids, marks).closed
        assert sum(read) < 2.5 * len(ids) + 1000


def test_marks_can_be_pickled_and_compared() -> None:
    marks = marks_of(build("qwen"))
    again = pickle.loads(pickle.dumps(marks))
    ids = encode(build("qwen"), "12.</think>\n\n4")
    assert again == marks
    assert split_ids(ids, again) == split_ids(ids, marks)


def test_eos_ids_are_those_of_the_tokenizer_and_of_the_generation_config() -> None:
    assert eos_ids(7, [7, 9]) == {7, 9}
    assert eos_ids(None, 3) == {3}
    assert eos_ids(None, None) == eos_ids() == frozenset()
