"""A recipe through verl's own trainer: files, command, watch, and the checkpoint back as a run folder.

The command is verl's (`python -m verl.trainer.main_ppo`) on a configuration that lcpo wrote whole, so it can be copied
to a cluster's scheduler as it stands.
"""

import contextlib
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lcpo.cluster.export import Exported, export
from lcpo.cluster.settings import compose, left_out
from lcpo.engines.models import resolve
from lcpo.errors import ConfigError, EngineError, MissingExtra
from lcpo.measure import files, manifest
from lcpo.measure.progress import Progress
from lcpo.recipes.recipe import Recipe
from lcpo.train import card, checkpoint
from lcpo.train.run import same_recipe

_FAILURE = re.compile(r"^(?:\x1b\[[0-9;]*m|\([^)]*\)|\s)*((?:[\w.]+\.)?\w*(?:Error|Exception|Died|Killed)\b.*)$")


@dataclass(frozen=True)
class Prepared:
    """What is written before verl starts: the data, its configuration, and the command."""

    name: str
    recipe: Recipe
    run: Path
    exported: Exported
    config: Path
    steps: int
    backend: str

    @property
    def command(self) -> list[str]:
        """verl's own entry point on the written configuration."""
        where = self.config.parent
        return [
            *(sys.executable, "-m", "verl.trainer.main_ppo"),
            *("--config-path", str(where), "--config-name", self.config.stem),
            *(f"hydra.run.dir={where}", "hydra.output_subdir=null", "hydra/job_logging=none"),
        ]

    def json(self) -> dict[str, Any]:
        """The files and the command."""
        return {
            "run": str(self.run),
            "files": [str(path) for path in (self.exported.train, self.exported.validation, self.config)],
            "command": self.command,
            "rows": self.exported.rows,
            "steps": self.steps,
            "not_carried_over": left_out(self.recipe),
        }


def prepare(name: str, recipe: Recipe, run: Path) -> Prepared:
    """Exports the data and writes verl's configuration into `run`/verl. Raises ConfigError or TaskError."""
    from omegaconf import OmegaConf

    run = run.resolve()
    source = resolve(recipe.model)
    if source.kind == "server":
        raise ConfigError(f"model {recipe.model} is a server; training needs weights: a folder or a hub id")
    folder = Path(source.path)  # absolute below, as workers have working directories of their own
    local = recipe.model_copy(update={"model": str(folder.resolve()) if folder.is_dir() else source.path})
    exported = export(recipe, run / "verl")
    config = compose(local, exported, run)
    path = run / "verl" / "config.yaml"
    files.write_text(path, OmegaConf.to_yaml(OmegaConf.create(config)))
    backend = "megatron" if config["actor_rollout_ref"]["actor"]["strategy"] == "megatron" else "fsdp"
    return Prepared(name, recipe, run, exported, path, int(config["trainer"]["total_training_steps"]), backend)


def train(
    name: str, recipe: Recipe, run: Path, *, resume: bool = False, dry_run: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Trains with verl into `run`, or with dry_run only writes its files. Returns what `lcpo train` prints.

    Raises ConfigError for settings, EngineError where verl cannot run here or stops; then the run can be resumed.
    """
    for package in ("verl", "ray", "hydra", "omegaconf"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "cluster")
    checkpoint.prepare(run, resume or not (run / "manifest.json").exists())  # what a dry run left behind is no run
    with files.locked(run):
        same_recipe(run, recipe, resume)
        prepared = prepare(name, recipe, run)
        return prepared.json() if dry_run else _train(prepared, quiet)


def _train(prepared: Prepared, quiet: bool) -> dict[str, Any]:
    """What is left of a run, to model/."""
    run = prepared.run
    _check(prepared)
    files.write_text(run / "recipe.toml", prepared.recipe.toml())
    done = latest(run)
    checkpoint.cut_back(run, done)
    manifest_file = run / "manifest.json"
    if not done or not manifest_file.is_file():
        record = manifest.run_manifest(prepared.recipe.seed, prepared.exported.data, {"source": prepared.recipe.model})
        record["versions"] |= {name: metadata.version(name) for name in ("verl", "ray")}
        files.write_json(manifest_file, {"recipe": prepared.name, "engine": "verl", **record})
    record = json.loads(manifest_file.read_text(encoding="utf-8"))
    before = time.perf_counter()
    if done < prepared.steps:
        _run(prepared, done, quiet)
    record["seconds"] = float(record.get("seconds", 0.0)) + time.perf_counter() - before
    lines = files.read_lines(run / "metrics.jsonl")
    record |= {"steps": latest(run), "tokens": lines[-1]["tokens"] if lines else 0}
    _bring_back(prepared, record, lines)
    files.write_json(manifest_file, record)
    return prepared.json() | {"model": str(run / "model"), "tokens": record["tokens"], **card.mean_over(lines)}


def text(result: dict[str, Any]) -> str:
    """What `lcpo train --engine verl` prints for a result of `train`."""
    if "model" in result:
        return f"{card.table(result)}\n\ndone: {result['model']}; {result['steps']} steps, {result['tokens']:,} tokens"
    lines = [f"# {result['rows']} problems, {result['steps']} generations; written:"]
    lines += [f"#   {path}" for path in result["files"]]
    if result["not_carried_over"]:
        lines.append(f"# [trl] keys without a counterpart in verl: {', '.join(result['not_carried_over'])}")
    return "\n".join([*lines, shlex.join(result["command"])])


def latest(run: Path) -> int:
    """The step of the newest whole checkpoint, 0 where there is none; verl writes its marker last."""
    marker = run / "checkpoints" / "latest_checkpointed_iteration.txt"
    try:
        return int(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _check(prepared: Prepared) -> None:
    """The plug-in, verl's own validation and an accelerator, in a process of their own. Raises EngineError."""
    command = [sys.executable, "-m", "lcpo.cluster.check", str(prepared.config)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.startswith("lcpo: ")]
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EngineError(said[-1].removeprefix("lcpo: ") if said else f"verl cannot be loaded: {last}")


def _run(prepared: Prepared, done: int, quiet: bool) -> None:
    """verl's trainer in a process group of its own, its output in verl.log. Raises EngineError where it fails."""
    from lcpo.train.recorder import summary

    log, metrics, stopped = prepared.run / "verl.log", prepared.run / "metrics.jsonl", False
    with log.open("ab") as output, Progress(["LCPO"], quiet=quiet) as show:
        show.phase("LCPO", prepared.steps, done)
        start = output.tell()
        main = threading.current_thread() is threading.main_thread()  # another one may not handle signals
        before = signal.signal(signal.SIGTERM, signal.default_int_handler) if main else None
        process = subprocess.Popen(prepared.command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            while process.poll() is None:
                time.sleep(0.5)
                for line in files.read_lines(metrics)[done:]:
                    show.update(done := int(line["step"]), summary(line))
        except KeyboardInterrupt:
            stopped = True
        finally:
            _end(process)
            if main:
                signal.signal(signal.SIGTERM, before)
    if stopped:
        raise EngineError(f"stopped; go on from step {latest(prepared.run)} with --resume")
    if process.returncode:
        said = log.read_bytes()[start:].decode("utf-8", errors="replace")
        raise EngineError(
            f"verl stopped with exit code {process.returncode}: {reason(said)}; the whole log is {log}; go on from "
            f"step {latest(prepared.run)} with --resume"
        )


def reason(log: str) -> str:
    """The last line of a log that names an exception, else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    named = [match[1] for line in lines if (match := _FAILURE.match(line))]
    last = (named or lines or ["it wrote nothing"])[-1]
    return last if len(last) <= 300 else last[:300] + " ..."


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends `process` and all that descends from it: Ray's head, and its workers, which are in sessions of their own."""
    import psutil  # type: ignore[import-untyped]

    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10.0)
    _, left = psutil.wait_procs(children, timeout=10.0)
    for child in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _bring_back(prepared: Prepared, record: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    """The newest checkpoint, merged by verl, as `model`/ in Hugging Face format with its card. Raises EngineError."""
    step = latest(prepared.run)
    actor = prepared.run / "checkpoints" / f"global_step_{step}" / "actor"
    if not actor.is_dir():
        raise EngineError(
            f"verl left no checkpoint in {actor.parent}; set verl.trainer.save_freq, run again with --resume"
        )
    command = [sys.executable, "-m", "verl.model_merger", "merge"]
    command += ["--backend", prepared.backend, "--local_dir", str(actor)]

    def merge(folder: Path) -> None:
        done = subprocess.run([*command, "--target_dir", str(folder)], capture_output=True, text=True)
        if done.returncode or not (folder / "config.json").is_file():
            said = reason(done.stdout + done.stderr)
            raise EngineError(f"verl could not merge {actor}: {said}; try  {shlex.join(command)}")
        text = card.card(prepared.name, prepared.recipe, prepared.recipe.model, record, lines)
        (folder / "README.md").write_text(text, encoding="utf-8")

    files.write_folder(prepared.run / "model", merge)
