"""What CONTRIBUTING says of layout, layers and of adding things is so."""

import importlib
import re
import sys
import tomllib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import pytest

from lcpo import Budget, Outcomes, decode, engines, objectives
from lcpo.decode.base import Ask, Method, Steps
from lcpo.engines.base import Delta, Engine, Format, Generation, Request, Segment, user
from lcpo.engines.models import ModelSource
from lcpo.engines.scripted import ScriptedEngine
from lcpo.objectives import Objective
from lcpo.types import FloatArray

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "lcpo"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_map_names_every_room() -> None:
    named = set(re.findall(r"`([\w.]+)/?`", section("Where things are").split("`study/`")[0]))
    there = {path.name for path in SOURCE.iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert there <= named and {name for name in named - there if "." in name} == set()


def test_the_layers_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    (said,) = re.findall(r"(    cli -> .*?)\n\n", section("Imports go down only"), re.DOTALL)
    assert " ".join(said.split()) == " -> ".join(layers).replace("lcpo.", "")


def test_the_tables_that_are_named_exist() -> None:
    rows = section("To add ...")
    for folder, table in {
        "objectives": "OBJECTIVES", "advantages": "ADVANTAGES", "verifiers": "VERIFIERS", "tasks": "TASKS",
        "decode": "METHODS", "engines": "ENGINES", "cli": "COMMANDS",
    }.items():  # fmt: skip
        assert f"`{table}`" in rows and hasattr(importlib.import_module(f"lcpo.{folder}"), table)
    for file, table in re.findall(r"`([\w/]+\.py): (\w+)`", rows):
        path = ROOT / file if (ROOT / file).exists() else SOURCE / file
        assert re.search(rf"^{table}\b", path.read_text(encoding="utf-8"), re.MULTILINE), (file, table)


class Near(Objective):
    """r = 1[correct and |length - budget| <= within]"""

    name: Literal["near"] = "near"
    within: int = 10

    def terms(self, o: Outcomes) -> FloatArray:
        return (o.correct * (np.abs(o.length - o.budget) <= self.within))[None]


def test_an_objective_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "OBJECTIVES", {**objectives.OBJECTIVES, "near": Near})
    reward = objectives.objective({"name": "near", "within": 3})
    length = np.array([[20, 23, 24]])
    outcomes = Outcomes(
        correct=np.ones((1, 3)), length=length, budget=np.full((1, 3), 20), kind=np.full((1, 3), "exact"),
        truncated=np.zeros((1, 3), bool),
    )  # fmt: skip
    assert reward(outcomes).tolist() == [[1, 1, 0]]


@dataclass(frozen=True)
class Half(Method):
    """Says half of the budget, and cuts at the whole."""

    name: str = "half"
    about = "half of the budget in the prompt, a cut at all of it"
    share: int = 2

    def steps(self, ask: Ask) -> Steps:
        draft = ask.start(Budget("max", ask.tokens // self.share))
        (generation,) = yield [draft.request(ask.tokens)]
        draft.take(generation)
        return draft.done()


def test_a_method_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "METHODS", {**decode.METHODS, "half": Half()})
    engine = ScriptedEngine(lambda request: "<think>" + "x" * 40)
    ask = Ask(user("1+1?"), Budget("exact", 20), engine, seed=0, cap=100)
    (response,) = decode.run_methods(engine, [decode.method("half:share=4").steps(ask)])
    assert (response.prompt, response.tokens) == ("1+1? Think for maximum 5 tokens.", 20)
    assert decode.options(decode.method("half")) == {"share": 2}


class Letters(Engine):
    """Says the letter a for ever; a letter is a token."""

    marks = None

    def __init__(self) -> None:
        self.name, self.format = "letters", Format()

    @classmethod
    def load(cls, path: str, name: str) -> "Letters":
        return cls()

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        text = "a" * request.max_tokens
        whole = Generation(Segment(None, text), Segment(None, text), "length", request.max_tokens)
        yield Delta(None, text, whole)

    def encode(self, text: str) -> Segment:
        return Segment(None, text)

    def decode(self, ids: Sequence[int]) -> str:
        return "a" * len(ids)


def test_an_engine_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("lcpo.engines.letters")
    module.__dict__["Letters"] = Letters
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(engines, "ENGINES", {**engines.ENGINES, "letters": "lcpo.engines.letters:Letters"})
    engine = engines.make_engine(ModelSource("m", "nowhere", "folder"), "letters")
    (said,) = engine.generate([Request(prompt=Segment(None, "?"), max_tokens=3, seed=0)])
    assert (said.kept.text, said.tokens) == ("aaa", 3)
