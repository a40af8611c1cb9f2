"""A real `lcpo serve` in a process of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def lcpo_serve(
    *arguments: str, program: Sequence[str] = (sys.executable, "-m", "lcpo")
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """(process, address without /v1) of a server on a free port, which ends with the block."""
    command = [*program, "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as lines:
        try:
            address = next((match[0] for line in lines if (match := re.search(r"http://[\d.:]+", line))), None)
            assert address is not None, "the server did not start"
            yield process, address
        finally:
            process.terminate()
            process.wait(30)
