"""The first sentence of a report: made from the rows, and honest where they do not allow it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from folders import folder
from made_up import made_up

from lcpo.evaluate.records import Sample
from lcpo.report.findings import cards
from lcpo.report.headline import headline
from lcpo.report.load import load

BUDGETS = (10, 20, 40)


def sample(budget: int | None, tokens: int | None, right: bool, problem: int, model: str) -> Sample:
    """An answer with that many tokens."""
    first = next(iter(made_up(1, 1)))
    method = "prompted" if budget else "unlimited"
    return replace(
        first, run=model, model=model, method=method, kind="exact" if budget else "none", budget=budget, seen=None,
        problem=f"p{problem}", tokens=tokens, correct=right,
    )  # fmt: skip


def answers(budget: int | None, tokens: int | None, right: int, model: str = "dial") -> list[Sample]:
    """Answers to 100 problems, the first of them right."""
    return [sample(budget, tokens, i < right, i, model) for i in range(100)]


def sentence(path: Path, samples: Sequence[Sample]) -> str:
    return headline(load([folder(path / "ev", samples)]), "sums").replace("\u00a0", " ")


RISING = [*answers(10, 11, 30), *answers(20, 19, 70), *answers(40, 38, 70)]


def test_it_says_what_the_accuracy_without_a_budget_costs(tmp_path: Path) -> None:
    assert sentence(tmp_path, [*RISING, *answers(None, 50, 65)]) == (
        "dial: 38 % of the tokens for the accuracy of the same model without a budget (65 %), at budget 20; "
        "cheapest budget within 1 point of its best (70 %): 20."
    )


def test_thinking_without_a_budget_may_be_another_models(tmp_path: Path) -> None:
    free = answers(None, 50, 65, "base") + answers(None, 20, 10, "weak")
    assert "for the accuracy of base without a budget (65 %), at budget 20" in sentence(tmp_path, [*RISING, *free])


def test_an_accuracy_that_no_budget_reaches_is_not_claimed(tmp_path: Path) -> None:
    said = sentence(tmp_path, [*RISING, *answers(None, 50, 90)])
    assert said.startswith("dial reaches the accuracy of the same model without a budget (90 %) at none of its budgets")
    assert "tokens for" not in said


def test_more_tokens_than_without_a_budget_are_said_as_such(tmp_path: Path) -> None:
    assert sentence(tmp_path, [*RISING, *answers(None, 10, 60)]).startswith("dial: 190 % of the tokens")


def test_without_such_a_row_the_best_budget_is_the_measure(tmp_path: Path) -> None:
    assert sentence(tmp_path, RISING) == (
        "dial, asked for 10 to 40 tokens, used 11 to 38; cheapest budget within 1 point of its best (70 %): 20."
    )
    steep = [*RISING[:200], *answers(40, 38, 90)]
    assert sentence(tmp_path / "b", steep).endswith("within 1 point of its best (90 %): 40.")


def test_lengths_that_do_not_follow_are_no_dial(tmp_path: Path) -> None:
    deaf = [*answers(10, 30, 50), *answers(40, 31, 60)]
    assert sentence(tmp_path, deaf) == ("dial does not follow its budget: asked for 10 to 40 tokens, used 30 to 31.")
    other = [replace(s, run="other", model="other", tokens=29 if s.budget == 10 else 31) for s in deaf]
    assert sentence(tmp_path / "b", [*deaf, *other]) == (
        "None of 2 models follows its budget; other comes nearest: asked for 10 to 40 tokens, used 29 to 31."
    )


def test_the_first_that_follows_is_the_subject(tmp_path: Path) -> None:
    deaf = [replace(s, run="base", model="base", tokens=30) for s in RISING]
    better = [replace(s, run="second", model="second") for s in RISING]
    assert sentence(tmp_path, [*deaf, *RISING, *better]).startswith("dial, asked for")


def test_a_single_budget_shows_no_dial(tmp_path: Path) -> None:
    assert sentence(tmp_path, answers(20, 19, 70)) == (
        "dial, asked for 20 tokens, used 19 on average and is right in 70 %; a single budget shows no dial."
    )


def test_a_dial_that_only_guesses_saves_nothing(tmp_path: Path) -> None:
    said = sentence(tmp_path, [*answers(10, 10, 1), *answers(20, 20, 2), *answers(40, 40, 1)])
    assert said == "dial follows its budget, but at none is it right significantly more often than guessing (1 %)."


def test_a_dial_that_is_never_right_has_no_best_budget(tmp_path: Path) -> None:
    said = sentence(tmp_path, [*answers(10, 11, 0), *answers(20, 19, 0), *answers(40, 38, 0)])
    assert said == "dial follows its budget, but none of its answers is right."
    assert "Good enough" not in [card.title for card in cards(load([tmp_path / "ev"]), "sums")]


def test_without_token_counts_nothing_is_said_of_length(tmp_path: Path) -> None:
    said = sentence(tmp_path, [*answers(10, None, 30), *answers(20, None, 70)])
    assert said == "Tokens were not reported, so nothing is said of length; best accuracy: 70 %, dial at budget 20."


def test_without_a_budget_in_any_prompt_the_best_row_is_named(tmp_path: Path) -> None:
    assert sentence(tmp_path, answers(None, 50, 65)) == (
        "No prompt asked for a budget here; right most often: dial · unlimited, 65 % with 50 tokens on average."
    )
