"""A stream of ids cut as a request asks: limits, stops, EOS, and characters of several bytes."""

import pytest

from lcpo.engines.base import Format, Request, Segment, cut_generation, sub_seed, user
from lcpo.engines.scripted import EOS, SPECIAL, ScriptedEngine
from lcpo.thinking import CLOSE

ENGINE = ScriptedEngine(lambda request: "")


def ids(text: str) -> tuple[int, ...]:
    return ENGINE.encode(text).ids or ()


@pytest.mark.parametrize(
    ("stream", "limit", "stop", "written", "kept", "finish"),
    [
        ("abc" + EOS, 10, (), "abc", "abc", "end"),
        ("abc" + EOS, 4, (), "abc", "abc", "end"),
        ("abc" + EOS, 3, (), "abc", "abc", "length"),
        ("abc" + CLOSE + "d" + EOS, 10, (CLOSE,), "abc" + CLOSE, "abc", "stop"),
        ("abc" + CLOSE + "d" + EOS, 4, (CLOSE,), "abc" + CLOSE, "abc", "stop"),
        ("abc" + CLOSE + "d" + EOS, 3, (CLOSE,), "abc", "abc", "length"),
        ("a\n\nb" + EOS, 10, ("\n\n",), "a\n\n", "a", "stop"),
        ("a" + EOS + "junk", 10, ("junk",), "a", "a", "end"),
        ("é" + EOS, 1, (), "�", "�", "length"),
    ],
)
def test_settle(stream: str, limit: int, stop: tuple[str, ...], written: str, kept: str, finish: str) -> None:
    found = cut_generation(ids(stream), Request(user("q"), limit, seed=0, stop=stop), ENGINE)
    assert found is not None
    assert (found.written.text, found.kept.text, found.finish) == (written, kept, finish)
    assert found.tokens == len(found.written.ids or ())


def test_a_stream_that_is_too_short_settles_nothing() -> None:
    assert cut_generation(ids("abc"), Request(user("q"), 4, seed=0, stop=(CLOSE,)), ENGINE) is None


def test_single_stop_tokens_end_a_generation() -> None:
    found = cut_generation(ids("a<b"), Request(user("q"), 3, seed=0, stop_ids=(ord("<"),)), ENGINE)
    assert found is not None
    assert (found.written.text, found.kept.text, found.finish, found.tokens) == ("a<", "a", "stop", 2)


def test_scripted_engine_encodes_without_loss() -> None:
    text = "<think>né 🙂</think>7<|im_start|>"
    assert ENGINE.decode(ids(text)) == text
    assert SPECIAL["<think>"] in ids(text)


def test_written_keeps_ids_only_where_both_have_them() -> None:
    assert (Segment((1,), "a") + Segment((2,), "b")).ids == (1, 2)
    assert (Segment((1,), "a") + Segment(None, "b")).ids is None


def test_an_empty_thought_depends_on_who_opens_it() -> None:
    assert Format().empty == "<think></think>"
    assert Format(opened=True).empty == "</think>"


def test_sub_seeds_differ_and_repeat() -> None:
    seeds = {sub_seed(1, "p", sample) for sample in range(1000)}
    assert len(seeds) == 1000
    assert sub_seed(1, "p", 7) in seeds
    assert max(seeds) < 2**48
