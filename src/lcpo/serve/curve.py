"""What a model was measured to do at each budget, read from an evaluation folder of `lcpo eval`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcpo.errors import ConfigError
from lcpo.types import Scope


@dataclass(frozen=True)
class Curve:
    """Accuracy at each budget, ascending.

    unbudgeted: mean tokens without a budget; answer: mean tokens after a thought, closing tag and EOS included; both
    None where they were not measured.
    """

    points: tuple[tuple[int, float], ...]
    scope: Scope
    unbudgeted: float | None
    answer: float | None

    def smallest(self, target: float) -> int:
        """The smallest budget whose accuracy reaches the target; the most accurate one where none does."""
        enough = [budget for budget, accuracy in self.points if accuracy >= target]
        return enough[0] if enough else max(self.points, key=lambda point: (point[1], -point[0]))[0]


def read_curve(folder: Path, model: str) -> Curve:
    """The curve of `model` (the only one, whatever its name) with method prompted. Raises ConfigError."""
    try:
        rows: list[dict[str, Any]] = json.loads((folder / "results.json").read_text(encoding="utf-8"))["rows"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"{folder} holds no results.json of lcpo eval; give an evaluation folder") from None
    models = {row["model"] for row in rows}
    mine = [row for row in rows if row["model"] == model or len(models) == 1]
    asked = sorted(
        (row for row in mine if row["method"] == "prompted" and row["budget"]), key=lambda row: row["budget"]
    )
    points = tuple((int(row["budget"]), float(row["accuracy"])) for row in asked)
    if not points:
        raise ConfigError(f"{folder} has no budgets of {model} with method prompted (has {', '.join(sorted(models))})")
    free = [row["tokens_mean"] for row in mine if row["method"] == "unlimited" and row["tokens_mean"] is not None]
    ends = [
        row["tokens_mean"] - row["thinking_tokens_mean"]
        for row in asked
        if row["tokens_mean"] is not None and row["thinking_tokens_mean"] is not None
    ]
    scope: Scope = "thinking" if asked[0]["scope"] == "thinking" else "response"
    return Curve(points, scope, free[0] if free else None, sum(ends) / len(ends) if ends else None)
