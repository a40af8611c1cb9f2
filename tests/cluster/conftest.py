"""A tiny random model, and verl's processes on a CPU."""

import importlib.util
import os
from pathlib import Path

import pytest
from cpu_settings import ENVIRONMENT, RIG


@pytest.fixture(scope="session")
def random_model(tmp_path_factory) -> Path:
    """A two-layer random model in the tiny reasoner's format."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    import sums_model as tiny

    folder = tmp_path_factory.mktemp("random") / "model"
    torch.manual_seed(0)
    tiny.save(transformers.Qwen3ForCausalLM(tiny.configuration(layers=2, width=64, heads=2)), tiny.tokenizer(), folder)
    return folder


@pytest.fixture
def cpu_rig(monkeypatch) -> None:
    """verl's processes run on the CPU; skips where verl is not installed."""
    for package in ("verl", "ray", "transfer_queue"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (extra 'cluster')")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(RIG), os.environ.get("PYTHONPATH", "")])))
