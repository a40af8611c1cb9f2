"""Budgets: how a prompt gets one (sampling), and how it is written and read (prompting)."""

from lcpo.budgets.prompting import TEMPLATES, Template, parse, prompt, render
from lcpo.budgets.sampling import BudgetSampler, Fixed, LogUniform, Uniform
from lcpo.measure.length import length

__all__ = [
    "TEMPLATES",
    "BudgetSampler",
    "Fixed",
    "LogUniform",
    "Template",
    "Uniform",
    "length",
    "parse",
    "prompt",
    "render",
]
