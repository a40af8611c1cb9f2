"""Figures of the pages on speed, cluster and grading are the measured ones; what the demo's leaves out is marked."""

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_speed_page_says_what_was_measured() -> None:
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "benchmarks" / "results" / "engine-h100.json").read_text(encoding="utf-8"))
    assert measured["machine"] in page.replace("\n", " ")
    rows = {(row["shape"], row["rows"], row["lengths"]): row for row in measured["rows"]}
    assert len(rows) == 8
    for (shape, count, lengths), row in rows.items():
        if lengths == "even":
            continue
        even = rows[shape, count, "even"]["ms_per_step"]
        cells = (shape, count, f"{row['lcpo']:,.0f}", f"{row['generate']:,.0f}", f"{row['ratio']:.1f}", f"{even:.1f}")
        assert "| " + " | ".join(map(str, cells)) + " |" in page
    for shape, count in (("135M", 768), ("1.5B", 64)):
        even = rows[shape, count, "even"]
        assert f"{even['lcpo']:,.0f}" in page and f"{100 * even['bandwidth_share']:.0f}" in page
    for row in json.loads((ROOT / "benchmarks" / "results" / "supervised-h100.json").read_text(encoding="utf-8")):
        assert f"{row['seconds_per_step']:.2f} s" in page


def test_the_cluster_page_says_what_caps_save() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks" / "results" / "caps.json").read_text(encoding="utf-8"))
    saved = [round(100 * row["saved"]) for row in results["simulated"]]
    assert f"saves {min(saved)}-{max(saved)} % of the" in page and results["measured"]["rewards_equal"]


def test_the_grading_page_says_what_is_accepted() -> None:
    page = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
    counts = json.loads((ROOT / "benchmarks" / "results" / "grading-kinds.json").read_text(encoding="utf-8"))["all"]
    assert "{right_lcpo} of {right}, of the wrong ones {wrong_lcpo} of {wrong}".format(**counts) in page
    assert "accepts {right_loop} and {wrong_loop}".format(**counts) in page


def test_what_the_recording_of_the_demo_leaves_out_is_marked() -> None:
    spec = importlib.util.spec_from_file_location("benchmarks_demo", ROOT / "benchmarks" / "demo.py")
    assert spec is not None and spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    text = "Hello\n\nThe words\n  token  a piece\n\nBefore: 2\n1/3 x: 1/2  1 s left\n1/3 x: 2/2  done in 2 s\n"
    assert demo.shortened(text) == "Hello\n\n[...]\n\nBefore: 2\n[...]\n1/3 x: 2/2  done in 2 s\n"
    page = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    recorded = page.split("```text\n")[1].split("```")[0]
    assert demo.shortened(recorded) == recorded
