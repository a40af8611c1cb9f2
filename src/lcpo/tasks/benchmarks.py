"""Benchmarks and training sets by hub name at a pinned revision, or from a file of the user's (`--data FILE`).

Questions are asked as the paper asked them (arXiv:2503.04697 and its data scripts; lcpo.budgets.prompting adds the
instruction): an instruction that a file brings along is taken off, so that every benchmark is asked in the same words.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lcpo.errors import TaskError
from lcpo.tasks.base import Loaded, Split, Task
from lcpo.tasks.dataset import load, split_off, subset, without_instruction

VALIDATION = 0.05
"""Share of a training set's problems that is kept for validation."""
_LSAT = re.compile(r"(.*?)\s*\bQ:\s*(.*?)\s*Answer Choices:.*", re.DOTALL)


def lsat_question(text: str) -> str:
    """Passage and question of the hub's LSAT-AR `query`, which repeats the options and ends in a lead-in of its own."""
    found = _LSAT.fullmatch(text)
    return f"{found[1]}\n\n{found[2]}" if found else without_instruction(text)


@dataclass(frozen=True)
class Benchmark(Task):
    """A set of other people's to test on.

    hub: where it lives, `{revision}` where none is pinned. member: the folder to read of a zip.
    drawn: (seed, count) of the paper's own selection of rows: numpy's legacy shuffle, the first `count`.
    """

    hub: tuple[str, ...]
    member: str | None = None
    drawn: tuple[int, int] | None = None
    tidy: Callable[[str], str] = without_instruction
    data: tuple[str, ...] = ()
    columns: Mapping[str, str] | None = None

    def load(self, split: Split = "test", limit: int | None = None, seed: int = 0) -> Loaded:
        """See Task.load. There is a test split only, kept whole: a row without an answer is an error."""
        if split != "test":
            raise TaskError(f"{self.name} is a test set and has no {split} split; train on something else")
        if not self.data and any("{revision}" in source for source in self.hub):
            given = " ".join(source.format(revision="COMMIT") for source in self.hub)
            raise TaskError(f"{self.name} is not pinned to a revision yet; give a file or  --data {given}  yourself")
        loaded = load(
            self.data or self.hub,
            columns=self.columns,
            missing="raise",
            duplicates="keep",
            name=self.name,
            tidy=self.tidy,
            verifier=self.verifier,
        )
        problems = loaded.problems
        if self.drawn is not None and len(problems) > self.drawn[1]:
            order = np.arange(len(problems))
            np.random.RandomState(self.drawn[0]).shuffle(order)
            problems = [problems[int(place)] for place in order[: self.drawn[1]]]
        return replace(loaded, problems=subset(problems, limit, seed))

    def with_data(self, data: str | Sequence[str], columns: Mapping[str, str] | None = None) -> Task:
        """This set from files; of a zip without a member, the usual folder is read."""
        listed = [data] if isinstance(data, str) else list(data)
        named = [f"{d}::{self.member}" if self.member and d.endswith(".zip") else d for d in listed]
        return replace(self, data=tuple(named), columns=columns)


@dataclass(frozen=True)
class TrainingSet(Benchmark):
    """Problems to train on, with a seeded validation split; null answers and duplicates are dropped and counted."""

    default_split: ClassVar[Split] = "train"

    def load(self, split: Split = "train", limit: int | None = None, seed: int = 0) -> Loaded:
        """See Task.load. There is no test split: what was trained on tests nothing."""
        if split == "test":
            raise TaskError(f"{self.name} is for training and has no test split; name a test set with --task or --data")
        loaded = load(self.data or self.hub, columns=self.columns, name=self.name, verifier=self.verifier)
        chosen = split_off(loaded.problems, VALIDATION, seed=0)[split]
        return replace(loaded, problems=subset(chosen, limit, seed))


AIME_CHANCE = 1 / 1000
"""An AIME answer is a whole number from 0 to 999."""

BENCHMARKS: tuple[Task, ...] = (
    Benchmark(
        *("aime2024", "AIME I and II of 2024, 30 problems", "math", AIME_CHANCE),
        hub=("hub:HuggingFaceH4/aime_2024@2fe88a2f1091d5048c0f36abc874fb997b3dd99a::train",),
    ),
    Benchmark(
        *("aime2025", "AIME I and II of 2025, 30 problems", "math", AIME_CHANCE),
        hub=(
            "hub:opencompass/AIME2025@a6ad95f611d72cf628a80b58bd0432ef6638f958::AIME2025-I/test",
            "hub:opencompass/AIME2025@a6ad95f611d72cf628a80b58bd0432ef6638f958::AIME2025-II/test",
        ),
    ),
    Benchmark(
        *("amc", "AMC 12 of 2022 and 2023, 83 problems", "math", None),
        hub=("hub:AI-MO/aimo-validation-amc@69d78a4a2c840e82d69af6bc742bda09005f6316::train",),
    ),
    Benchmark(
        *("math500", "MATH-500, competition mathematics of five levels", "math", None),
        hub=("hub:HuggingFaceH4/MATH-500@6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be::test",),
    ),
    Benchmark(
        *("olympiadbench", "OlympiadBench, open-ended English mathematics without images", "math", None),
        hub=("hub:Hothan/OlympiadBench@91184b52131e7fc9455fef848035173aea8cc01a::OE_TO_maths_en_COMP/train",),
    ),
    Benchmark(
        *("minerva", "Minerva, university science with numbers and units", "math", None),
        hub=("hub:math-ai/minervamath@{revision}::test",),
    ),
    Benchmark(
        *("gsm8k", "GSM8K, grade-school word problems", "math", None),
        hub=("hub:openai/gsm8k@740312add88f781978c0658806c59bc2815b9866::main/test",),
    ),
    Benchmark(
        *("mmlu", "MMLU, the 1,000 test questions that the paper drew (seed 42)", "choice", 1 / 4),
        hub=("hub:cais/mmlu@c30699e8356da336a370243923dbaf21066bb9fe::all/test",),
        member="data/test",
        drawn=(42, 1000),
    ),
    Benchmark(
        *("mmlu_full", "MMLU, all test questions of 57 subjects", "choice", 1 / 4),
        hub=("hub:cais/mmlu@c30699e8356da336a370243923dbaf21066bb9fe::all/test",),
        member="data/test",
    ),
    Benchmark(
        *("lsat_ar", "LSAT analytical reasoning (AGIEval), five options", "choice", 1 / 5),
        hub=("hub:dmayhem93/agieval-lsat-ar@{revision}::test",),
        tidy=lsat_question,
    ),
    Benchmark(
        *("gpqa", "GPQA diamond, graduate science (gated); options in an order of our own seed", "choice", 1 / 4),
        hub=("hub:Idavidrein/gpqa@633f5ee89ab8ad4522a9f850766b73f62147ffdd::gpqa_diamond/train",),
    ),
    TrainingSet(
        *("deepscaler", "DeepScaleR-Preview, the paper's training problems", "math", None),
        hub=("hub:agentica-org/DeepScaleR-Preview-Dataset@b6ae8c60f5c1f2b594e2140b91c49c9ad0949e29::train",),
    ),
    TrainingSet(
        *("gsm8k_train", "GSM8K's training problems", "math", None),
        hub=("hub:openai/gsm8k@740312add88f781978c0658806c59bc2815b9866::main/train",),
    ),
)
"""Real data, one entry each. Revisions are commits of the data set; a new one is a visible change of the benchmark."""
