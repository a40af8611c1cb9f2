"""Files: failed writes in one line, one writer to a folder, what tells two tables apart."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lcpo.errors import ConfigError, EngineError
from lcpo.measure import files

HOLD = "import sys, time; from pathlib import Path; from lcpo.measure.files import locked\n"
HOLD += "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_a_folder_has_one_writer_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match="another process is writing into"), files.locked(folder):
            pass
        os.kill(holder.pid, signal.SIGKILL)
    assert (folder / files.LOCK).exists()
    with files.locked(folder):
        pass
    assert list(folder.iterdir()) == []


def test_who_waits_for_a_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold = HOLD.replace("sleep(60)", "sleep(1)")
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with files.locked(tmp_path, wait=True):
            assert holder.wait(timeout=30) == 0
    assert f"another process is writing into {tmp_path}: waiting for it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc] unexpected pos 64 vs 0"),
    ],
)
def test_a_failed_write_is_one_line(error: Exception) -> None:
    says = r"cannot write model: .*make room, then run again with --resume"
    with pytest.raises(EngineError, match=says), files.writing("model"):
        raise error


def test_other_errors_are_no_failed_writes() -> None:
    with pytest.raises(RuntimeError, match="rewritten"), files.writing("model"):
        raise RuntimeError("the graph was rewritten while it ran")


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    """Files may grow to 64 kB: what torch and safetensors say then is a failed write."""
    code = """
import resource, sys, torch
from pathlib import Path
from safetensors.torch import save_file
from lcpo.errors import EngineError
from lcpo.measure.files import writing
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
for save in (torch.save, save_file):
    try:
        with writing("weights"):
            save({"a": torch.zeros(2**18)}, sys.argv[1])
    except EngineError as error:
        print(error)
"""
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True)
    assert done.stderr == ""
    assert [line[:21] for line in done.stdout.splitlines()] == ["cannot write weights:"] * 2


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "a", lambda folder: (folder / "old").touch())

    def broken(folder: Path) -> None:
        (folder / "new").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.write_folder(tmp_path / "a", broken)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["old"]
    files.write_folder(tmp_path / "a", lambda folder: (folder / "new").touch())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


def test_differences_name_what_changed() -> None:
    assert files.differences({"a": 1, "b": [{"c": 2}]}, {"a": 1, "b": [{"c": 3}]}) == ["b[0].c: 2 -> 3"]
    assert files.differences({"a": {"b": 1}}, {"a": {}, "c": 2}) == ["a.b: 1 -> None", "c: None -> 2"]
    assert files.differences({"a": 1}, {"a": 1}) == []
