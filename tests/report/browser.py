"""Chromium without a window, driven over the WebDriver protocol: for tests that must see what a reader sees."""

import base64
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="needs chromium and chromedriver (apt-get install chromium chromium-driver)",
)


class Browser:
    """One open window."""

    def __init__(self, client: httpx.Client, session: str) -> None:
        self.client, self.session = client, session

    def call(self, method: str, path: str, **body: Any) -> Any:
        """One WebDriver command; its value."""
        url = f"/session/{self.session}/{path}"
        answer = self.client.request(method, url, **({"json": body} if method == "POST" else {}))
        answer.raise_for_status()
        return answer.json()["value"]

    def open(self, page: Path) -> None:
        """Loads a file."""
        self.call("POST", "url", url=page.resolve().as_uri())

    def run(self, script: str) -> Any:
        """The value that a script returns."""
        return self.call("POST", "execute/sync", script=script, args=[])

    def complaints(self) -> list[str]:
        """What the browser's console holds: errors, and refusals by the page's own policy."""
        return [entry["message"] for entry in self.call("POST", "se/log", type="browser")]

    def screenshot(self, path: Path) -> None:
        """What is seen, as PNG."""
        path.write_bytes(base64.b64decode(self.call("GET", "screenshot")))


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def browser(width: int = 1200, height: int = 900) -> Iterator[Browser]:
    """A browser of that size; narrow sizes are emulated, since windows have a least width."""
    assert CHROMIUM is not None and DRIVER is not None
    port = _port()
    process = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ):
            _wait(client)
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
            options: dict[str, Any] = {"args": [*arguments, f"--window-size={width},{height}"], "binary": CHROMIUM}
            if width < 600:
                options["mobileEmulation"] = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            answer = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
            answer.raise_for_status()
            opened = Browser(client, answer.json()["value"]["sessionId"])
            yield opened
            client.delete(f"/session/{opened.session}")
    finally:
        process.terminate()
        process.wait(30)


def _wait(client: httpx.Client) -> None:
    for _ in range(1200):
        try:
            if client.get("/status").json()["value"]["ready"]:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError("chromedriver did not start within a minute")
