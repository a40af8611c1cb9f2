"""A real `lcpo serve tiny-exact`, and LiteLLM's proxy in front of it. Clients live in an environment of their own."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from server_process import lcpo_serve

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
LCPO = HERE.parents[1] / ".venv" / "bin" / "lcpo"


def pytest_report_header() -> str:
    """Which versions are tried."""
    lines = (HERE / "requirements.txt").read_text().splitlines()
    names = [line.partition(">")[0].partition("[")[0] for line in lines if line and not line.startswith("#")]
    clients = [name for name in names if not name.startswith("pytest")]
    return "clients: " + ", ".join(f"{name} {metadata.version(name)}" for name in clients)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Its address, without /v1."""
    with lcpo_serve("tiny-exact", program=[str(LCPO)]) as (_, address):
        yield address


@pytest.fixture(scope="session")
def litellm_proxy(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of LiteLLM's proxy in front of the server, with one model for each of its routes."""
    folder = tmp_path_factory.mktemp("litellm")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    params = {"api_base": server + "/v1", "api_key": "none"}
    models = [
        {"model_name": route, "litellm_params": {"model": f"{route}/tiny-exact", **params}}
        for route in ("openai", "hosted_vllm")
    ]
    settings = {
        "general_settings": {"master_key": "sk-test"},
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }
    (folder / "config.yaml").write_text(json.dumps({"model_list": models, **settings}))  # JSON is YAML
    command = [BIN / "litellm", "--config", folder / "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*map(str, command)], env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 600.0) -> None:
    """Until something answers there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(log.read_text()[-3000:])
