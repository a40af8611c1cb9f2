"""How long `lcpo demo` takes in an empty folder, and what stands on the terminal meanwhile.

    python benchmarks/demo.py [KEY=VALUE ...] [--record docs/demo.md] [--out FILE.json]

Measured are seconds to the first line, seconds in all, and CPU seconds of the demo and of all that it starts. --record
writes a page with the decisive parts of what was printed. KEY=VALUE goes to the demo.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = """\
# The demo

    lcpo demo

shows a tiny model that ignores budgets, trains it with the recipe `demo`, and shows it again. KEY=VALUE changes a
setting of that recipe: `seed=1`, `trl.max_steps=100`. Ctrl-C stops it, and the same command goes on. `runs/demo`
(`--out DIR`) then holds `before/`, `trained/`, `after/`, and a page of all three, `report.html`.

A recording on {cores} cores: the first line after {first:.1f} s, the last after {seconds:.0f} s, {cpu:.0f} CPU seconds.
[...] stands for what is left out. *Off by* is the mean distance from the budget, *dial* the rank correlation of lengths
and budgets, *wasted* the share of thought in tries that are wrong, repeated or made up.
`python benchmarks/demo.py --record docs/demo.md` makes this page.

```text
{text}```
"""
GAP = "[...]\n"
LEFT_OUT = (
    r"^The model is tiny.*?(?=^The words)",
    r"^The words\n.*?(?=^$)",
    r"^One question.*?(?=^The training:)",
    r"^(eval: |\d/\d (?![^\n]* done in ))[^\n]*\n",
    r"^[\d,]+ own samples.*?(?=^\d/\d )",
    r"^  N = 36,.*?\n\n",
    r"^How long the answers are:\n.*?(?=^$)",
    r"^To go on:\n.*",
)
"""What a page leaves out of the terminal's text, as patterns, each marked by GAP."""


def shortened(text: str) -> str:
    """The text with GAP in place of every part of LEFT_OUT; parts that follow each other leave one gap."""
    for part in LEFT_OUT:
        text = re.sub(part, GAP, text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(rf"(?:{re.escape(GAP)}\s*)+(?={re.escape(GAP)})", "", text)


def measure(overrides: list[str]) -> tuple[dict[str, float], str]:
    """The figures of one run in an empty folder, and what it printed. Raises CalledProcessError where it fails."""
    command = [sys.executable, "-u", "-m", "lcpo", "demo", *overrides]
    before, began, first, text = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0.0, ""
    with tempfile.TemporaryDirectory() as folder:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(command, cwd=folder, text=True, **pipes) as process:
            assert process.stdout is not None
            for line in process.stdout:
                first = first or time.monotonic() - began
                text += line
                print(line, end="", flush=True)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"first": first, "seconds": seconds, "cpu": cpu, "cores": len(os.sched_getaffinity(0))}, text


def main() -> None:
    """Measures, prints, and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    figures, text = measure(given.overrides)
    print("\nfirst line after {first:.1f} s, {seconds:.0f} s in all, {cpu:.0f} CPU s, {cores} cores".format(**figures))
    if given.record:
        given.record.write_text(PAGE.format(**figures, text=shortened(text)), encoding="utf-8")
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
