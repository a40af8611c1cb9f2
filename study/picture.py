"""The README's picture from docs/results: tokens used and accuracy against tokens asked for, before and after.

python study/picture.py            draws docs/results/before-after.png from the claims that are there
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from lcpo.report.plots import before_after

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "tiny (before)"
ARMS = {
    BEFORE: ("tiny-base", "exact"),
    "tiny-exact": ("tiny-exact", "exact"),
    "tiny-max": ("tiny-max", "max"),
    "correctness only": ("tiny-control", "exact"),
    "budgets shuffled": ("tiny-shuffled", "exact"),
    "the paper's settings": ("tiny-l1", "exact"),
}
"""What is drawn: name in the picture -> claim, evaluation within it."""
CONTROLS = ("correctness only", "budgets shuffled")


def rows(path: Path, evaluation: str) -> list[dict[str, Any]]:
    """The rows of every run of a claim on the shipped base, each named after its run."""
    claim = json.loads(path.read_text(encoding="utf-8"))
    records = [record for record in claim["runs"] if not record["run"].endswith("second-base")]
    return [{**row, "run": record["run"]} for record in records for row in record["evaluations"][evaluation]["rows"]]


def main() -> None:
    """Draw what is there; say what is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results", help="folder of claims")
    parser.add_argument("--out", type=Path, help="the picture; default: before-after.png in the folder of claims")
    given = parser.parse_args()
    there = {name: given.results / f"{claim}.json" for name, (claim, _) in ARMS.items()}
    missing = [str(path) for path in there.values() if not path.is_file()]
    if missing:
        print("not there yet: " + ", ".join(missing), file=sys.stderr)
    arms = {name: rows(path, ARMS[name][1]) for name, path in there.items() if path.is_file()}
    if BEFORE not in arms or len(arms) < 2:
        sys.exit("a picture needs the base and at least one more claim: make claims NAME=tiny-base")
    print(before_after(arms, given.out or given.results / "before-after.png", before=BEFORE, controls=CONTROLS))


if __name__ == "__main__":
    main()
