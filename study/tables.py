"""The tables in README and docs, made from docs/results and nothing else.

    python study/tables.py --write     puts every table between its markers, <!-- table NAME --> ... <!-- end -->

A test makes them again and compares, so no figure there can differ from the runs.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- table (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
ARMS = (
    "tiny-base",
    "tiny-exact",
    "tiny-max",
    "tiny-one-budget",
    "tiny-absolute",
    "tiny-control",
    "tiny-shuffled",
    "tiny-filler",
    "tiny-l1-early",
    "tiny-l1",
    "tiny-l1-warm",
)
"""In the order of docs/study.md; tiny-l1-early is tiny-l1 as it was at step 1,162, before its dial appeared."""
EARLIER = {
    "eighth": ("tiny-exact-eighth", "tiny-max-eighth"),
    "seventh": ("tiny-exact-seventh", "tiny-max-seventh"),
    "fifth": ("tiny-exact-fifth", "tiny-max-fifth"),
    "fourth": ("tiny-exact-fourth", "tiny-max-fourth"),
    "third": ("tiny-exact-third", "tiny-max-third"),
    "second": ("tiny-exact-second",),
    "first": ("tiny-exact-first", "tiny-max-first"),
}
"""Runs of earlier recipes, which are not made again."""
ARMS_HEAD = (
    "| run | rank corr. | slope | worst mean | MARE | MARE unseen | over budget | filler | accuracy 12 | 96 |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
BEYOND = {"half-and-double", "unseen-sizes", "unseen-wording"}
"""Evaluations outside of what tiny-exact was trained on."""


def claim(name: str) -> dict[str, Any] | None:
    """docs/results/NAME.json, None if it has not been run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def prompted(run: dict[str, Any], evaluation: str, method: str = "prompted") -> list[dict[str, Any]]:
    """The rows of a run's dial, by budget."""
    rows = [row for row in run["evaluations"][evaluation]["rows"] if row["method"] == method]
    return sorted(rows, key=lambda row: row["budget"])


def dial(run: dict[str, Any], evaluation: str, method: str = "prompted") -> dict[str, Any]:
    """The dial of a run's prompted budgets."""
    return next(line for line in run["evaluations"][evaluation]["dials"] if line["method"] == method)


def mean(values: Iterator[float]) -> float:
    """Arithmetic mean."""
    listed = list(values)
    return sum(listed) / len(listed)


def arms() -> str:
    """One line per run of every arm: does its length follow the budget, how closely, and what does it know?"""
    return "\n".join([*ARMS_HEAD, *(line for name in ARMS for line in _arm_lines(name))])


def arms_earlier() -> str:
    """The same of the runs of earlier recipes."""
    runs = ((name, f", {word} recipe") for word, names in EARLIER.items() for name in names)
    return "\n".join([*ARMS_HEAD, *(line for name, note in runs for line in _arm_lines(name, note))])


def _arm_lines(name: str, note: str = "") -> Iterator[str]:
    done = claim(name)
    for run in done["runs"] if done else []:
        for evaluation in [e for e in ("exact", "max") if e in run["evaluations"]]:
            stopped = f", stopped at step {run['stopped_at']:,}" if "stopped_at" in run else ""
            yield _study_line(run, evaluation, note + stopped)
            if any(line["method"] == "filler" for line in run["evaluations"][evaluation]["dials"]):
                yield _study_line(run, evaluation, ", marks for a thought", "filler")


def _study_line(run: dict[str, Any], evaluation: str, note: str, method: str = "prompted") -> str:
    rows, line = prompted(run, evaluation, method), dial(run, evaluation, method)
    worst = max((row["signed_error"] for row in rows), key=abs)
    unseen = [row["mare"] for row in rows if row["budget"] % 3 == 0]
    label = f"`{run['run']}`" + (", maximum" if evaluation == "max" else "") + note
    return (
        f"| {label} | {line['rank_correlation']:.3f} | {line['slope']:.2f} | {100 * worst:+.0f} % "
        f"| {mean(row['mare'] for row in rows):.3f} | {mean(iter(unseen)):.3f} "
        f"| {100 * mean(row['over_budget'] for row in rows):.0f} % | {100 * max(row['filler'] for row in rows):.1f} % "
        f"| {rows[0]['accuracy']:.2f} | {rows[-1]['accuracy']:.2f} |"
    )


def curve() -> str:
    """tiny-exact at every budget, first seed: asked, used, error, accuracy."""
    done = claim("tiny-exact")
    lines = ["| asked | used (mean) | MARE | within 10 % | accuracy | drawn in training |", "|---|---|---|---|---|---|"]
    for row in prompted(done["runs"][0], "exact") if done else []:
        lines.append(
            f"| {row['budget']} | {row['tokens_mean']:.1f} | {row['mare']:.3f} | {100 * row['within_10']:.0f} % "
            f"| {row['accuracy']:.3f} +- {row['accuracy_stderr']:.3f} | {'yes' if row['seen'] else 'no'} |"
        )
    return "\n".join(lines)


def reach() -> str:
    """tiny-exact beyond what it was trained on (range, sizes, wording), every run: length, error, accuracy."""
    done = claim("tiny-exact")
    lines = ["| run | what | asked -> used (mean) | MARE | accuracy, smallest and largest |", "|---|---|---|---|---|"]
    for run in done["runs"] if done else []:
        for what in sorted(BEYOND & run["evaluations"].keys()):
            rows = prompted(run, what)
            shown = rows if len(rows) < 6 else rows[::4] + rows[-1:]
            used = ", ".join(f"{row['budget']} -> {row['tokens_mean']:.0f}" for row in shown)
            lines.append(
                f"| `{run['run']}` | {what} | {used} | {mean(row['mare'] for row in rows):.2f} "
                f"| {rows[0]['accuracy']:.2f}, {rows[-1]['accuracy']:.2f} |"
            )
    return "\n".join(lines)


def interval(line: dict[str, Any]) -> str:
    """A paired difference with its 95 % interval."""
    return f"{line['accuracy_difference']:+.3f} ({line['ci95'][0]:+.3f} to {line['ci95'][1]:+.3f})"


def thresholds() -> str:
    """The thresholds that need pairs of samples, and which of all thresholds each run of the current recipe missed."""
    return _thresholds(lambda recipe: recipe == "current")


def thresholds_earlier() -> str:
    """The same of the runs of earlier recipes."""
    return _thresholds(lambda recipe: recipe != "current")


def _thresholds(wanted: Callable[[str], bool]) -> str:
    done = claim("thresholds") or {"tiny-exact": [], "tiny-max": []}
    exact, most = ([run for run in done[arm] if wanted(run["recipe"])] for arm in ("tiny-exact", "tiny-max"))
    lines = [
        "| `tiny-exact` | accuracy at 96 minus 12 | at 96 minus the base alone | worst step, or all missed | missed |",
        "|---|---|---|---|---|",
    ]
    for run in exact:
        down = run["steps_down"] or [run["worst_step"]]
        worst = "; ".join(f"{step['from']} to {step['to']}: {interval(step)}" for step in down)
        shown = (_named(run), interval(run["rise"]), interval(run["over_base"]), worst, _missed(run))
        lines.append("| " + " | ".join(shown) + " |")
    lines += [
        "",
        "| `tiny-max` | over budget | used where it binds | at 96 minus its start | exact MARE | missed |",
        "|---|---|---|---|---|---|",
    ]
    for run in most:
        shares = (f"{100 * run[name]:.1f} %" for name in ("over_budget", "used_where_it_binds"))
        error = f"{run['exact_mare']:.3f} ({run['exact_mare_over_start']:+.3f})"
        shown = (_named(run), *shares, interval(run["over_exact"]), error, _missed(run))
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _named(run: dict[str, Any]) -> str:
    note = "" if run["recipe"] == "current" else f", {run['recipe']} recipe"
    return f"`{Path(run['run']).name}`{note}"


def controls() -> str:
    """What must not work: no dial for the bases and the controls, no knowledge from marks in place of a thought."""
    done = claim("thresholds")
    lines = ["| run | rank corr. | slope | missed |", "|---|---|---|---|"]
    for run in done["controls"] if done else []:
        lines.append(f"| `{run['run']}` | {run['rank_correlation']:.3f} | {run['slope']:.3f} | {_missed(run)} |")
    if done and done["filler"]:
        lines += ["", "| run | accuracy with marks, 12 to 96 | at 96 minus no thought | missed |", "|---|---|---|---|"]
    for run in done["filler"] if done else []:
        low, high = min(run["accuracy"]), max(run["accuracy"])
        lines.append(f"| `{run['run']}` | {low:.3f}-{high:.3f} | {interval(run['over_direct'])} | {_missed(run)} |")
    return "\n".join(lines)


def adherence() -> str:
    """Rank correlation over RL rollouts, as training logged it, at every quarter of a run; the rest at its end."""
    done = claim("adherence")
    lines = ["| run | rollouts | at 1/4 | 1/2 | 3/4 | the end | MARE | accuracy | tokens |", "|" + "---|" * 9]
    for run in done["runs"] if done else []:
        at = run["windows"]
        ranks = " | ".join(f"{at[(len(at) * part) // 4 - 1]['rank_correlation']:.2f}" for part in (1, 2, 3, 4))
        end = at[-1]
        rest = "" if run["steps"] >= run["max_steps"] else f", stopped at step {run['steps']:,} of {run['max_steps']:,}"
        lines.append(
            f"| `{run['run']}`{rest} | {run['rollouts']:,} | {ranks} "
            f"| {end['mare']:.2f} | {end['accuracy']:.2f} | {end['length']:.0f} |"
        )
    return "\n".join(lines)


def _missed(run: dict[str, Any]) -> str:
    return ", ".join(name.replace("_", " ") for name in run["missed"]) or "none"


def audit_plans() -> str:
    """The base's own responses without a budget, by the plan that they followed."""
    done = claim("tiny-audit")
    lines = ["| plan | share | tokens (mean) | accuracy |", "|---|---|---|---|"]
    for name, row in sorted((done or {"plans": {}})["plans"].items(), key=lambda item: item[1]["tokens"]):
        lines.append(f"| {name} | {100 * row['share']:.1f} % | {row['tokens']:.1f} | {row['accuracy']:.2f} |")
    return "\n".join(lines)


def audit_rest() -> str:
    """The base cut short, counting, and asked for a number of tokens."""
    done = claim("tiny-audit")
    lines = ["| what | value |", "|---|---|"]
    if done:
        cut = ", ".join(f"{accuracy:.2f} at {place}" for place, accuracy in done["cuts"].items())
        counted = ", ".join(f"{row['exact']:.2f} of {number}" for number, row in done["counting"].items())
        dial_ = done["dial"]
        lines += [
            f"| accuracy of right, finished thoughts when cut | {cut} |",
            f'| "Write N marks." followed to the mark | {counted} |',
            f"| asked for 12-96 tokens: slope, rank correlation | {dial_['slope']}, {dial_['rank_correlation']} |",
            f"| filler without a budget | {100 * done['plans']['all']['filler']:.1f} % of tokens |",
        ]
    return "\n".join(lines)


def methods() -> str:
    """tiny-exact against every other method and model at equal tokens used: paired differences in accuracy."""
    done = claim("tiny-methods")
    lines = ["| tiny-exact against | at tokens | accuracy difference | 95 % interval |", "|---|---|---|---|"]
    for line in done["comparisons"] if done else []:
        if line["a"] == "tiny-exact" and line["method_a"] == "prompted" and line["b"] != "tiny-max":
            low, high = line["ci95"]
            lines.append(
                f"| `{line['method_b']}` on `{line['b']}` | {line['at_tokens']:.0f} "
                f"| {line['accuracy_difference']:+.2f} | {low:+.2f} to {high:+.2f} |"
            )
    return "\n".join(lines)


def caps() -> str:
    """What caps on max rows save: simulated at the paper's budgets, measured on the tiny base."""
    done = claim("caps")
    lines = ["| lengths | rows cut | tokens saved |", "|---|---|---|"]
    for row in done["simulated"] if done else []:
        lines.append(f"| simulated: {row['lengths']} | {100 * row['rows_cut']:.0f} % | {100 * row['saved']:.0f} % |")
    if done:
        row = done["measured"]
        same = "the same rewards" if row["rewards_equal"] else "OTHER REWARDS"
        lines.append(
            f"| measured: {row['rollouts']:,} rollouts of the tiny base, {same} | | {100 * row['saved']:.0f} % |"
        )
    return "\n".join(lines)


def verl_dial() -> str:
    """The dial that verl's RL makes on a CPU: every tenth of the run, and the gain with its interval."""
    done = claim("verl-dial")
    lines = ["| generations | rank correlation | MARE | accuracy |", "|---|---|---|---|"]
    log = done["log"] if done else []
    size = max(1, len(log) // 10)
    for part in (log[at : at + size] for at in range(0, len(log) - size + 1, size)):
        shown = (mean(line[name] for line in part) for name in ("rank_correlation", "mare", "accuracy"))
        lines.append(
            f"| {part[0]['step']}-{part[-1]['step']} | " + " | ".join(f"{value:.2f}" for value in shown) + " |"
        )
    if done:
        low, high = done["ci95"]
        lines.append(f"| last tenth minus first | {done['gain']:+.2f} (95 %: {low:+.2f} to {high:+.2f}) | | |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "arms": arms,
    "arms-earlier": arms_earlier,
    "curve": curve,
    "reach": reach,
    "thresholds": thresholds,
    "thresholds-earlier": thresholds_earlier,
    "controls": controls,
    "adherence": adherence,
    "audit-plans": audit_plans,
    "audit-rest": audit_rest,
    "methods": methods,
    "caps": caps,
    "verl-dial": verl_dial,
}


def filled(text: str) -> str:
    """`text` with every marked table made again."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}\n{match[3]}", text)


def main() -> None:
    """Print the tables, or write them into the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        for page in PAGES:
            page.write_text(filled(page.read_text()))
    else:
        print("\n\n".join(f"{name}\n\n{make()}" for name, make in TABLES.items()))


if __name__ == "__main__":
    main()
