"""Evaluation folders of made-up samples, written as an evaluation writes them."""

import json
from collections.abc import Iterable
from pathlib import Path

from lcpo.evaluate.records import Sample
from lcpo.evaluate.results import results


def folder(path: Path, samples: Iterable[Sample], **manifest: object) -> Path:
    """results.json and samples.jsonl in `path`."""
    kept = list(samples)
    path.mkdir(parents=True, exist_ok=True)
    (path / "samples.jsonl").write_text("".join(json.dumps(s.json()) + "\n" for s in kept), encoding="utf-8")
    found = results(kept, {"lcpo": "0", **manifest}, chances={"sums": 0.01}, resamples=50)
    (path / "results.json").write_text(json.dumps(found, allow_nan=False), encoding="utf-8")
    return path
