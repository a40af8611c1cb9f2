"""Pre-training of the tiny base from nothing, in two phases; resumable to the step.

The batch of a step is a pure function of (seed, step). Matrices are trained by Muon, the rest by AdamW.
"""

import bisect
import json
import random
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from lcpo.errors import ConfigError
from lcpo.measure.files import locked, write_json
from lcpo.measure.progress import Progress
from lcpo.models.tiny import demonstrations
from lcpo.models.tiny.demonstrations import Demonstration
from lcpo.models.tiny.model import CLOSE, configuration, save, tokenizer
from lcpo.tasks.search import SIZES
from lcpo.train.supervised import Row, load_state, muon, rate, save_state, step

BUILD = "build.json"
"""The file that says with which seed and schedule a base is built."""
PHASES = ("small problems", "all sizes and counting")
STATE = "build.pt"
"""The file that an interrupted build goes on from."""


@dataclass(frozen=True)
class Schedule:
    """What the base is trained on, how long and how fast. steps, small and warmup count optimizer steps, batch rows.

    small: steps on small problems alone, which come first; after that they are half of the problems. counting: share of
    the rows that count, after that. between: chance of an answer in between two tries, twice that in small problems.
    answer: what an answer's token weighs in the loss; another weighs 1. lr, lr_embedding: peak learning rates of Muon
    and AdamW; micro_tokens: padded tokens of a pass (memory and speed only).
    """

    steps: int = 4200
    small: int = 1000
    counting: float = 0.2
    between: float = 0.25
    answer: float = 4.0
    batch: int = 64
    warmup: int = 100
    lr: float = 4e-3
    lr_embedding: float = 4e-3
    micro_tokens: int = 2048


def draw(seed: int, at: int, schedule: Schedule) -> list[Demonstration]:
    """The demonstrations of step `at`: small problems, after the first phase larger ones and counting too."""
    rng = random.Random(f"tiny-search-{seed}-{at}")
    first = at < schedule.small
    weights = demonstrations.FIRST_STYLE_WEIGHTS if first else demonstrations.STYLE_WEIGHTS
    rows = []
    for _ in range(schedule.batch):
        if not first and rng.random() < schedule.counting:
            rows.append(demonstrations.count(rng))
            continue
        small = first or rng.random() < 0.5
        problem = demonstrations.problem(rng, demonstrations.FIRST_SIZES if small else SIZES)
        rows.append(demonstrations.solve(rng, problem, weights, answers=schedule.between * (1 + small)))
    return rows


def encode(fast: Any, rows: list[Demonstration], answer: float = 1.0) -> list[Row]:
    """Demonstrations as token ids; muted stretches of a response weigh nothing, the token of an answer `answer`."""
    before, after = fast.apply_chat_template(
        [{"role": "user", "content": "@"}], add_generation_prompt=True, tokenize=False
    ).split("@")
    prompts = fast([before + row.question + after for row in rows])["input_ids"]
    responses = fast([row.response for row in rows], return_offsets_mapping=True)
    closing = fast.convert_tokens_to_ids(CLOSE)
    encoded = []
    for row, asked, ids, places in zip(rows, prompts, responses["input_ids"], responses["offset_mapping"], strict=True):
        learned = [float(not any(start < to and at < end for start, end in row.muted)) for at, to in places]
        for place in range(1, len(ids)):
            learned[place] *= answer if ids[place - 1] == closing else 1.0
        encoded.append(Row(asked, [*ids, fast.eos_token_id], [*learned, 1.0]))
    return encoded


def build(
    out: Path, seed: int = 0, *, schedule: Schedule | None = None, threads: int = 1, save_every: int = 250
) -> Path:
    """Makes the tiny base from nothing and writes it to `out` in Hugging Face format; goes on with what it finds there.

    threads: CPU threads. save_every: steps between two states that a build can go on from. Progress (phase, step, loss
    in nats, rate, time left) goes to stderr. Raises ConfigError where `out` holds another build or model.
    """
    schedule = schedule or Schedule()
    torch.set_num_threads(threads)
    with locked(out):
        _claim(out, {"seed": seed, "schedule": asdict(schedule)})
        if not (out / "config.json").exists():
            fast = tokenizer()
            save(_train(out / STATE, seed, schedule, fast, save_every), fast, out)
            (out / STATE).unlink()
    return out


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Says in `out` what is built there. Raises ConfigError where that is something else."""
    path = out / BUILD
    if path.exists():
        other = json.loads(path.read_text(encoding="utf-8"))
        if other != settings:
            what = f"seed {other['seed']}" + (" and another schedule" if other["seed"] == settings["seed"] else "")
            raise ConfigError(f"{out} holds a build with {what}, not one with seed {settings['seed']}; {_OTHER_FOLDER}")
    elif (out / "config.json").exists():
        raise ConfigError(f"{out} holds a model that is no build of this command; {_OTHER_FOLDER}")
    else:
        write_json(path, settings)


_OTHER_FOLDER = "give another --out, or remove it"


def _train(state: Path, seed: int, schedule: Schedule, fast: Any, save_every: int) -> Any:
    """The model after all steps, from the state on if there is one."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(configuration())
    optimizers = muon(model, schedule.lr, schedule.lr_embedding)
    first, recent = 0, deque[float](maxlen=100)
    if state.exists():
        first, kept = load_state(state, model, optimizers)
        recent.extend(kept)
    ends = [0, schedule.small, schedule.steps]
    model.train()
    with Progress(PHASES) as progress:
        for at in range(first, schedule.steps):
            phase = bisect.bisect_right(ends, at) - 1
            if at == first or at in ends:
                progress.phase(PHASES[phase], ends[phase + 1] - ends[phase], at - ends[phase])
            optimizers.set_rate(rate(at, schedule.steps, warmup=schedule.warmup))
            rows = encode(fast, draw(seed, at, schedule), schedule.answer)
            recent.append(step(model, optimizers, rows, pad=fast.pad_token_id, tokens=schedule.micro_tokens))
            progress.add(1, f"loss {sum(recent) / len(recent):.3f}")
            if (at + 1) % save_every == 0 or at + 1 == schedule.steps:
                save_state(state, model, optimizers, at + 1, recent)
    return model
