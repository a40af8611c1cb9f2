"""What a run writes down and shows at each step of RL."""

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from lcpo.errors import EngineError
from lcpo.measure.files import write_text, writing
from lcpo.measure.progress import Progress
from lcpo.recipes.recipe import LogTable
from lcpo.train.checkpoint import cut_back
from lcpo.train.metrics import finite

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

    def __init__(self, run: Path, trainer: Any, log: LogTable, resumed: int, show: Progress) -> None:
        self.run, self.trainer, self.log, self.show = run, trainer, log, show
        kept = cut_back(run, resumed)
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
        line |= {name.split("/")[0]: finite(logs.get(name)) for name in KEEP}
        line["tokens"] = trainer.tokens
        for name, total in trainer.seconds.items():
            line[f"seconds_{name}"] = round(total - self.timed[name], 4)
        self.timed = dict(trainer.seconds)
        line["seconds"] = round(self.before + time.perf_counter() - self.started, 3)
        path = self.run / "metrics.jsonl"
        with writing(str(path)), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        if fresh:
            self._rollouts(state.global_step)
            self._watch(line)
            self.last = line
        self.show.update(state.global_step, summary(line if fresh else self.last))

    def _rollouts(self, step: int) -> None:
        """A sample of the rollouts, every so many generations: whole groups, from the first on."""
        generation = (step - 1) // self.trainer.updates_per_generation
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


def summary(line: Mapping[str, Any]) -> str:
    """accuracy, asked/used and dial of a metrics line, in a few words."""

    def number(name: str, form: str) -> str:
        return form.format(line[name]) if line.get(name) is not None else "-"

    asked, used = number("budget_mean", "{:.0f}"), number("length", "{:.0f}")
    return (
        f"accuracy {number('accuracy', '{:.2f}')}  asked {asked} used {used}  off by {number('mare', '{:.0%}')}  "
        f"dial {number('rank_correlation', '{:.2f}')}  reward {number('reward', '{:.3f}')}"
        + (f"  useless {line['useless']:.0%}" if line.get("useless") is not None else "")
    )


class Stop(TrainerCallback):  # type: ignore[misc]
    """Ends training at the next place where a run can be resumed, with a checkpoint, once `asked` says so."""

    def __init__(self, asked: Callable[[], bool], every: int) -> None:
        self.asked, self.every = asked, every

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Between two generations: stop and save if asked to."""
        if state.global_step % self.every == 0 and self.asked():
            control.should_training_stop = True
            control.should_save = True


class SkipNonFinite(TrainerCallback):  # type: ignore[misc]
    """Leaves out an update whose gradient is not finite; `most` in a row end the run.

    With such a gradient every weight would be NaN. Faulty kernels give one now and then, with a finite loss
    (lcpo.train.policy.without_cudnn_attention).
    """

    def __init__(self, show: Progress, most: int = 3) -> None:
        self.show, self.most, self.row = show, most, 0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """After clipping, before the weights change. Raises EngineError."""
        if args.fp16:  # its loss scaler leaves such updates out, and finds its scale by them
            return
        weights = [weight for weight in model.parameters() if weight.grad is not None]
        if not weights or torch.isfinite(torch.nn.utils.get_total_norm([weight.grad for weight in weights])):
            self.row = 0
            return
        self.row += 1
        step = state.global_step + 1
        if self.row >= self.most:
            raise EngineError(
                f"the gradients of the {self.row} updates up to {step} are not finite; lower trl.learning_rate"
            )
        self.show.note(f"warning: the gradient of update {step} is not finite; that update is left out")
        for weight in weights:
            weight.grad = None
