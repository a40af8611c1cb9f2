"""lcpo: make a reasoning model obey a token budget, prove that it does, and serve it (arXiv:2503.04697).

The public names below are loaded when they are first used, so that `lcpo --help` answers at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lcpo.budgets import parse, prompt, render
    from lcpo.errors import ConfigError, EngineError, LcpoError, MissingExtra, TaskError
    from lcpo.evaluate.asking import ask
    from lcpo.objectives import Exact, Max, Mixed, Objective, objective
    from lcpo.types import Budget, Grade, Outcomes, Problem
    from lcpo.verifiers import grade

__version__ = "0.1.0"

_HOMES = {
    "lcpo.budgets": ("parse", "prompt", "render"),
    "lcpo.errors": ("ConfigError", "EngineError", "LcpoError", "MissingExtra", "TaskError"),
    "lcpo.evaluate.asking": ("ask",),
    "lcpo.objectives": ("Exact", "Max", "Mixed", "Objective", "objective"),
    "lcpo.types": ("Budget", "Grade", "Outcomes", "Problem"),
    "lcpo.verifiers": ("grade",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Budget",
    "ConfigError",
    "EngineError",
    "Exact",
    "Grade",
    "LcpoError",
    "Max",
    "MissingExtra",
    "Mixed",
    "Objective",
    "Outcomes",
    "Problem",
    "TaskError",
    "ask",
    "grade",
    "objective",
    "parse",
    "prompt",
    "render",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lcpo' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
