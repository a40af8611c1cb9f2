"""Evaluation folders read for a report: results.json, and of samples.jsonl only lengths and a few texts."""

import json
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from lcpo.errors import ConfigError
from lcpo.evaluate.comparisons import DIAL
from lcpo.evaluate.records import SAMPLES, Sample, read_samples
from lcpo.evaluate.results import CURVE, SCHEMA, results
from lcpo.evaluate.rows import CurveKey
from lcpo.measure.portable import portable
from lcpo.report.plots import Style
from lcpo.report.training import Run, is_run, read_run

RESULTS = "results.json"
LISTS = ("rows", "dials", "comparisons", "detectors", "behaviour")
SINCE_2 = ("inert", "inert_at_most", "inert_samples", "useless", "grade_timeouts", "requests_failed")
"""What rows of schema 1 lack."""
READ = (
    *dict.fromkeys((*CurveKey._fields, *CURVE)), "seen", "pass_at_k", "majority_accuracy", "thinking_tokens_mean",
    "answer_tokens_mean", "within_10", "within_20",
)  # fmt: skip
"""What a report reads of every row."""
PROBLEMS_SHOWN = 3
"""Problems whose thoughts a page shows: the first of the file, not chosen by outcome."""
CHARACTERS_SHOWN = 6000


def key_of(row: Mapping[str, Any]) -> CurveKey:
    """The curve that a row or a sample's fields belong to."""
    return CurveKey(*(row[name] for name in CurveKey._fields))


@dataclass
class Curve:
    """The rows of one method of one run, budgets ascending; what it is called and how it is drawn."""

    key: CurveKey
    rows: list[dict[str, Any]] = field(default_factory=list)
    label: str = ""
    style: Style = field(default_factory=Style)

    @property
    def prompted(self) -> bool:
        """Whether the budget stands in the prompt and nowhere else: the dial itself."""
        return self.key.method == DIAL


@dataclass
class Texts:
    """The first texts of each curve, by problem and budget; and the lengths of all samples, by curve and budget."""

    lengths: dict[tuple[CurveKey, int | None], "array[int]"] = field(default_factory=dict)
    shown: dict[CurveKey, dict[str, dict[int, Sample]]] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        """Notes one sample."""
        key = key_of(sample.__dict__)
        used = sample.thinking_tokens if sample.scope == "thinking" else sample.tokens
        if used is not None:
            self.lengths.setdefault((key, sample.budget), array("i")).append(used)
        problems = self.shown.setdefault(key, {})
        if sample.budget is None or (sample.problem not in problems and len(problems) == PROBLEMS_SHOWN):
            return
        text, more = sample.text[:CHARACTERS_SHOWN], len(sample.text) - CHARACTERS_SHOWN
        shown = replace(sample, text=f"{text} [... {more:,} more characters]") if more > 0 else sample
        problems.setdefault(sample.problem, {}).setdefault(sample.budget, shown)


@dataclass
class Evaluations:
    """All that a report knows: the rows of every folder as curves, what was compared, some texts; training runs."""

    names: list[str]
    manifests: list[tuple[str, dict[str, Any]]]
    results: dict[str, Any]
    curves: list[Curve]
    texts: Texts
    runs: list[Run] = field(default_factory=list)

    @property
    def tasks(self) -> list[str]:
        """The tasks, in order of appearance."""
        return list(dict.fromkeys(curve.key.task for curve in self.curves))

    def of(self, task: str, prompted: bool = False) -> list[Curve]:
        """The curves of a task; only those of the dial, if asked."""
        return [c for c in self.curves if c.key.task == task and (c.prompted or not prompted)]


def read_results(folder: Path) -> dict[str, Any]:
    """results.json of an evaluation folder, or of a path to such a file. Raises ConfigError if it is none."""
    path = folder if folder.is_file() else folder / RESULTS
    if not path.is_file():
        raise ConfigError(f"{folder} holds no {RESULTS}; give a folder that  lcpo eval  or  lcpo train  wrote")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON ({error})") from None
    if not isinstance(found, dict) or found.get("schema") not in range(1, SCHEMA + 1):
        raise ConfigError(f"{path} is not a result of schema {SCHEMA}; evaluate again with this version")
    found["rows"] = [{**dict.fromkeys(SINCE_2), **row} for row in found.get("rows", ())]
    lacking = [name for name in ("manifest", "dials", "comparisons") if name not in found]
    lacking += [name for name in READ if any(name not in row for row in found["rows"])]
    if lacking:
        raise ConfigError(f"{path} lacks {', '.join(lacking)}; evaluate again with this version")
    return found


def load(folders: Sequence[Path], resamples: int = 1000) -> Evaluations:
    """Reads evaluation folders for one report; folders of training runs among them are shown by their steps.

    One evaluation is shown as it stands. Several that all hold samples are compared anew, problem by problem; if one
    lacks them, the rows stand side by side and comparisons are those within each folder.
    """
    if not folders:
        raise ConfigError("a report needs at least one folder of an evaluation or a training run")
    trained = [folder for folder in folders if is_run(folder) and not (folder / RESULTS).is_file()]
    evaluated = [folder for folder in folders if folder not in trained]
    runs = [read_run(folder, name) for folder, name in zip(trained, _named(trained), strict=True)]
    stored, names, texts = [read_results(folder) for folder in evaluated], _named(evaluated), Texts()
    renamed = _collisions(stored, names)
    samples = _samples(evaluated, renamed, texts)
    if len(evaluated) > 1 and all((folder / SAMPLES).is_file() for folder in evaluated):
        chances = {row["task"]: row["chance"] for table in stored for row in table["rows"]}
        joined = results(samples, {}, chances=chances, resamples=resamples)
    else:
        deque(samples, maxlen=0)  # only for the texts
        pairs = list(zip(stored, renamed, strict=True))
        joined = {name: [_renamed(line, new) for table, new in pairs for line in table.get(name, ())] for name in LISTS}
    manifests = [(name, table["manifest"]) for name, table in zip(names, stored, strict=True)]
    manifests += [(run.name, run.manifest) for run in runs]
    manifests = [(name, portable(manifest)) for name, manifest in manifests]
    return Evaluations([name for name, _ in manifests], manifests, joined, curves_of(joined["rows"]), texts, runs)


def _samples(folders: Sequence[Path], renamed: Sequence[Mapping[str, str]], texts: Texts) -> Iterator[Sample]:
    """All samples, runs by their new names; `texts` notes each."""
    for folder, names in zip(folders, renamed, strict=True):
        for sample in read_samples(folder) if (folder / SAMPLES).is_file() else ():
            renamed_sample = replace(sample, run=names[sample.run]) if sample.run in names else sample
            texts.add(renamed_sample)
            yield renamed_sample


def _collisions(stored: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, str]]:
    """For each folder, new names of the runs of which another folder holds a curve too, at whatever budgets: two
    evaluations are never mixed.
    """
    curves = [{key_of(row) for row in table["rows"]} for table in stored]
    holders = Counter(key for keys in curves for key in keys)
    return [
        {key.run: f"{key.run} [{name}]" for key in keys if holders[key] > 1}
        for keys, name in zip(curves, names, strict=True)
    ]


def _renamed(line: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A line of results.json with the new names of its runs; comparisons name theirs `a` and `b`."""
    return {**line, **{field: names[line[field]] for field in ("run", "a", "b") if line.get(field) in names}}


def _named(folders: Sequence[Path]) -> list[str]:
    names = [folder.resolve().name for folder in folders]
    return [f"{name} ({i + 1})" if names.count(name) > 1 else name for i, name in enumerate(names)]


Gap = tuple[float, float, tuple[float | None, float | None]]
"""(tokens used by both, difference in accuracy, its 95 % interval)."""


def against(evaluations: Evaluations, curve: Curve) -> dict[str, tuple[Curve, list[Gap]]]:
    """Accuracy of a curve minus that of each other one of its task, by label, tokens ascending; what was compared."""
    side = attrgetter("key.run", "key.method", "key.kind", "key.wording")
    curves = {side(other): other for other in evaluations.of(curve.key.task)}
    gaps: dict[str, tuple[Curve, list[Gap]]] = {}
    for line in evaluations.results["comparisons"]:
        if line["task"] != curve.key.task or line["accuracy_difference"] is None:
            continue
        a = (line["a"], line["method_a"], line["kind"], line["wording_a"])
        b = (line["b"], line["method_b"], line["kind_b"], line["wording_b"])
        sign, other = (1, curves.get(b)) if a == side(curve) else (-1, curves.get(a) if b == side(curve) else None)
        if other is None:
            continue
        low, high = sorted(sign * end for end in line["ci95"]) if line["ci95"] else (None, None)
        gap = line["at_tokens"], sign * line["accuracy_difference"], (low, high)
        gaps.setdefault(other.label, (other, []))[1].append(gap)
    return {label: (other, sorted(several, key=lambda gap: gap[0])) for label, (other, several) in gaps.items()}


def curves_of(rows: Sequence[dict[str, Any]]) -> list[Curve]:
    """Rows sorted into curves, each with a label that tells it apart and a style of its own; the dials come first."""
    curves: dict[CurveKey, Curve] = {}
    for row in rows:
        curves.setdefault(key_of(row), Curve(key_of(row))).rows.append(row)
    ordered = sorted(curves.values(), key=lambda curve: not curve.prompted)
    numbers: dict[str, int] = {}
    for curve in ordered:
        curve.rows.sort(key=lambda row: (row["budget"] is None, row["budget"] or 0))
        curve.label = _label(curve.key, [other.key for other in ordered if other.key.task == curve.key.task])
        number = numbers.setdefault(curve.label, len(numbers))
        curve.style = Style(number, 0 if curve.prompted else 1, curve.prompted)
    return ordered


def _label(key: CurveKey, keys: Sequence[CurveKey]) -> str:
    """The shortest name that tells a curve from the others of its task."""
    label = key.model
    if len({other.run for other in keys if other.model == key.model}) > 1:
        label += f" ({key.run})" if key.run != key.model else ""
    if key.method != DIAL:
        label += f" · {key.method}"
    alike = [other for other in keys if (other.run, other.model, other.method) == (key.run, key.model, key.method)]
    for name, text in (("kind", "{}"), ("wording", "“{}”"), ("scope", "{}"), ("temperature", "T={:g}")):
        if len({getattr(other, name) for other in alike}) > 1:
            label += f", {text.format(getattr(key, name))}"
    return label
