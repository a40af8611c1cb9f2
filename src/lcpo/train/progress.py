"""What a run shows while it goes on: a bar on a terminal, plain lines in a log; and what it writes down each step."""

import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from accelerate.utils import gather_object
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback

from lcpo.measure.files import write_text, writing
from lcpo.recipes.recipe import LogTable
from lcpo.train.checkpoint import cut_back

KEEP = ("loss", "grad_norm", "learning_rate", "kl", "entropy", "clip_ratio/region_mean")
"""What a line of metrics.jsonl takes from TRL's own log."""
ADVICE = (
    "lengths do not follow the budgets: rank correlation {value} over the last {window} generations. What helps, in "
    "this order: a warm start on the model's own relabelled samples ([hindsight]); several budgets in a group "
    "(budget.per_group=4) with advantage='per_budget'; a relative length term (objective.name='gated'); more steps"
)


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Writes metrics.jsonl and rollouts/, watches the dial, and tells the display; main process only.

    Times are summed over what --resume has cut together, so that `seconds` in the last line is the whole run's.
    """

    def __init__(self, run: Path, trainer: Any, log: LogTable, resumed: int, show: "Display") -> None:
        self.run, self.trainer, self.log, self.show = run, trainer, log, show
        kept = cut_back(run / "metrics.jsonl", resumed)
        for path in (run / "rollouts").glob("step-*.jsonl"):
            if int(path.stem.removeprefix("step-")) > resumed:
                path.unlink()
        self.before = float(kept[-1]["seconds"]) if kept else 0.0
        trainer.tokens = int(kept[-1]["tokens"]) if kept else 0
        self.recent: deque[float] = deque(maxlen=10)
        self.recent.extend(r for line in kept if (r := line.get("rank_correlation")) is not None)
        self.warned = False
        self.last: dict[str, Any] = kept[-1] if kept else {}
        self.seen: Mapping[str, Any] | None = None
        self.started = time.perf_counter()
        self.timed = dict(trainer.seconds)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """A line of metrics; TRL's closing summary is not one."""
        if logs is None or "train_runtime" in logs:
            return
        trainer = self.trainer
        fresh = trainer.record is not self.seen
        self.seen = trainer.record
        line: dict[str, Any] = {"step": state.global_step}
        line |= trainer.record if fresh else dict.fromkeys(trainer.record)
        line |= {name.split("/")[0]: _finite(logs.get(name)) for name in KEEP}
        line["tokens"] = trainer.tokens
        for name, total in trainer.seconds.items():
            line[f"seconds_{name}"] = round(total - self.timed[name], 4)
        self.timed = dict(trainer.seconds)
        line["seconds"] = round(self.before + time.perf_counter() - self.started, 3)
        with (
            writing(f"{self.run / 'metrics.jsonl'}"),
            (self.run / "metrics.jsonl").open("a", encoding="utf-8") as file,
        ):
            file.write(json.dumps(line, allow_nan=False) + "\n")
        if fresh:
            self._rollouts(state.global_step)
            self._watch(line)
            self.last = line
        self.show.step(state.global_step, state.max_steps, line if fresh else self.last)

    def _rollouts(self, step: int) -> None:
        """A sample of the rollouts, every so many generations: whole groups, from the first on."""
        every = self.trainer.num_iterations * max(
            1, self.trainer.args.steps_per_generation // self.trainer.args.gradient_accumulation_steps
        )
        generation = (step - 1) // every
        if self.log.rollouts and generation % self.log.rollouts_every == 0:
            chosen = self.trainer.rollouts[: self.log.rollouts]
            text = "".join(json.dumps({"step": step, **rollout}) + "\n" for rollout in chosen)
            with writing("rollouts"):
                write_text(self.run / "rollouts" / f"step-{step:06d}.jsonl", text)

    def _watch(self, line: Mapping[str, Any]) -> None:
        """Warns once where lengths do not follow budgets after the configured number of steps."""
        if line["rank_correlation"] is not None:
            self.recent.append(line["rank_correlation"])
        if self.warned or line["step"] < self.log.dial_after or not self.recent:
            return
        mean = sum(self.recent) / len(self.recent)
        if mean < self.log.dial_correlation:
            self.warned = True
            self.show.note("warning: " + ADVICE.format(value=f"{mean:.2f}", window=len(self.recent)))


class Display:
    """A progress bar on a terminal, a plain line now and then in a log; to stderr."""

    def __init__(self, steps: int, done: int = 0, quiet: bool = False, every: float = 10.0) -> None:
        self.console = Console(stderr=True)
        self.quiet, self.every, self.printed = quiet, every, 0.0
        self.started, self.first, self.steps = time.perf_counter(), done, steps
        self.bar: Progress | None = None
        if self.console.is_terminal and not quiet:
            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
            self.bar = Progress(TextColumn("train"), *columns, TextColumn("{task.fields[says]}"), console=self.console)
            self.task = self.bar.add_task("train", total=steps, completed=done, says="")
            self.bar.start()

    def step(self, step: int, steps: int, line: Mapping[str, Any]) -> None:
        """Shows a step."""
        says = summary(line)
        if self.bar is not None:
            self.bar.update(self.task, completed=step, total=steps, says=says)
            return
        now = time.perf_counter()
        if not self.quiet and (now - self.printed >= self.every or step == steps):
            self.printed = now
            left = (now - self.started) / max(1, step - self.first) * (steps - step)
            self.note(f"step {step}/{steps}  {says}  {clock(left)} left")

    def note(self, text: str) -> None:
        """A line of its own, above the bar."""
        if self.quiet:
            return
        if self.bar is not None:
            self.bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)

    def close(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.stop()


def summary(line: Mapping[str, Any]) -> str:
    """accuracy, asked/used and dial of a metrics line, in a few words."""

    def number(name: str, form: str) -> str:
        return form.format(line[name]) if line.get(name) is not None else "-"

    asked, used = number("budget_mean", "{:.0f}"), number("length", "{:.0f}")
    return (
        f"accuracy {number('accuracy', '{:.2f}')}  asked {asked} used {used}  off by {number('mare', '{:.0%}')}  "
        f"dial {number('rank_correlation', '{:.2f}')}  reward {number('reward', '{:.3f}')}"
    )


def clock(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


class Stop(TrainerCallback):  # type: ignore[misc]
    """Ends training at the next place where a run can be resumed, with a checkpoint, once `asked` says so."""

    def __init__(self, asked: Callable[[], bool], every: int) -> None:
        self.asked, self.every = asked, every

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Between two generations: stop and save if any process was asked to."""
        if state.global_step % self.every == 0 and any(gather_object([self.asked()])):
            control.should_training_stop = True
            control.should_save = True


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
