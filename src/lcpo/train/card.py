"""The model card of a run: what was trained, on what, and the numbers that the run itself saw."""

from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w

from lcpo.measure.portable import portable
from lcpo.recipes.recipe import Recipe

TABLES = ("task", "budget", "evaluate")
"""The tables of the recipe that the card carries, for `lcpo eval`."""


def mean_over(lines: Sequence[Mapping[str, Any]], last: int = 10) -> dict[str, Any]:
    """Means of the last generations' metrics, bin by bin; None where nothing is known."""
    chosen = [line for line in lines if line.get("reward") is not None][-last:]
    names = (
        "reward",
        "accuracy",
        "length",
        "budget_mean",
        "mare",
        "slope",
        "rank_correlation",
        "truncated",
        "no_answer",
    )
    result: dict[str, Any] = {name: _mean([line.get(name) for line in chosen]) for name in names}
    bins = [line["bins"] for line in chosen if line.get("bins")]
    result["bins"] = [
        {"from": column[0]["from"]}
        | {name: _mean([one[name] for one in column]) for name in ("budget", "length", "mare", "accuracy")}
        for column in zip(*bins, strict=True)
    ]
    return result


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None


def table(summary: Mapping[str, Any]) -> str:
    """Budget against length, error and accuracy, as a Markdown table."""
    lines = ["| budget (mean) | tokens used | off by | accuracy |", "|---:|---:|---:|---:|"]
    for one in summary["bins"]:
        cells = (_cell(one["budget"], "{:.0f}"), _cell(one["length"], "{:.1f}"), _cell(one["mare"], "{:.0%}"))
        lines.append(f"| {' | '.join(cells)} | {_cell(one['accuracy'], '{:.2f}')} |")
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def card(name: str, recipe: Recipe, base: str, manifest: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    """The card as Markdown with its metadata block; how budgets were drawn stands there only if some were."""
    base, task = portable(base), recipe.task.name or ", ".join(portable(recipe.task.data))
    tables = {name: portable(getattr(recipe, name).model_dump(mode="json", exclude_none=True)) for name in TABLES}
    if not lines and "hindsight" not in manifest.get("stages", {}):  # no budget was drawn
        tables["budget"] = {name: tables["budget"][name] for name in ("scope", "template")}
    version = " ".join(filter(None, ("`lcpo`", manifest["versions"].get("lcpo"))))
    return f"""---
tags: [lcpo, token-budget, grpo]
pipeline_tag: text-generation
---

# {name}

{recipe.about or "A model trained to use the number of tokens that its prompt asks for."}

Trained with {version} from `{base}` on `{task}`, seed {recipe.seed}:
{", then ".join(stages(recipe, manifest, lines))}.
{_seen(lines)}
## How to ask

The user's message ends with the budget sentence of the wording `{recipe.budget.template}`; `lcpo ask` and
`lcpo eval` write it. What `lcpo eval` uses where its command line says nothing:

```toml
{tomli_w.dumps(tables).strip()}
```
"""


def stages(recipe: Recipe, manifest: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was done to the base, stage by stage."""
    made = manifest.get("stages", {})
    found = [f"{made['supervised']['steps']:,} supervised steps"] if "supervised" in made else []
    if "hindsight" in made:
        found.append(f"hindsight on {sum(round_['used'] for round_ in made['hindsight']):,} samples of its own")
    if lines:
        found.append(
            f"{lines[-1]['step']:,} steps of LCPO (arXiv:2503.04697) with {lines[-1]['tokens']:,} generated tokens, "
            f"objective `{recipe.objective.name}`, advantage `{recipe.advantage}`"
        )
    return found


def _seen(lines: Sequence[Mapping[str, Any]]) -> str:
    if not lines:
        return ""
    summary = mean_over(lines)
    return f"""
## What the run saw

Means over its last generations, on training problems and training budgets; `lcpo eval` measures held-out ones.
Accuracy {_cell(summary["accuracy"], "{:.3f}")}, rank correlation of length and budget \
{_cell(summary["rank_correlation"], "{:.2f}")}, mean absolute relative error of the length \
{_cell(summary["mare"], "{:.3f}")}.

{table(summary)}
"""
