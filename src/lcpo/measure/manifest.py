"""Where a result comes from: versions, code state, machine, time; written beside every result."""

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcpo.measure.portable import command_line, portable

PACKAGES = ("lcpo", "numpy", "torch", "transformers", "trl", "peft", "vllm", "math-verify", "latex2sympy2-extended")


def manifest() -> dict[str, Any]:
    """Versions of the packages that matter, the state of the code, the machine, and the command."""
    return {
        "versions": {"python": platform.python_version(), **versions()},
        "git": git_state(Path(__file__).parent),
        "machine": machine(),
        "command": ["lcpo", *command_line(sys.argv[1:])],
    }


def versions() -> dict[str, str]:
    """Installed versions; what is not installed is left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether anything is changed, None outside a checkout."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    tracked = git("ls-files", "--error-unmatch", str(Path(__file__)))
    if commit is None or tracked is None:
        return None
    return {"commit": commit, "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}


def machine() -> dict[str, Any]:
    """System, processor and its count, memory in GiB, the GPU if torch is loaded and sees one."""
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "memory_gib": _memory(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["gpu"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
        found["threads"] = torch.get_num_threads()
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def cpu_seconds() -> float:
    """CPU seconds of this process and its finished children so far."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return round(total, 2)


def run_manifest(seed: int, data: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest at the start of a run; steps, tokens and seconds are added at its end."""
    return {"schema": 1, **manifest(), "seed": seed, "data": portable(data), "model": portable(model)}
