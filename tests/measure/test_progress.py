"""Progress: phases by name, first lines at once, rate and time left; nothing where it is quiet."""

import pytest

from lcpo.measure import progress
from lcpo.measure.progress import Progress, duration


def test_phases_are_named_and_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with Progress(["sampling", "LCPO"]) as shown:
        shown.phase("sampling", 1000, start=200)
        clock[0] += 2
        shown.add(100)
        clock[0] += 2
        shown.add(100, "40 cut")
        shown.add(100)
        shown.update(1000)
        shown.phase("LCPO", 10)
        shown.note("a line")
    assert capsys.readouterr().err.splitlines() == [
        "1/2 sampling: 200 of 1,000 done",
        "1/2 sampling: 400/1,000  40 cut  50/s, 12 s left",
        "1/2 sampling: 1,000/1,000  done in 4 s",
        "2/2 LCPO: 0 of 10 done",
        "a line",
    ]


def test_slow_units_are_said_in_seconds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with Progress(["eval"]) as shown:
        shown.phase("eval", 100)
        clock[0] += 20
        shown.add(2)
    assert capsys.readouterr().err == "eval: 2/100  10 s each, 16 min 20 s left\n"


def test_a_quiet_one_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(["a", "b"], quiet=True) as shown:
        shown.phase("a", 1)
        shown.add(1)
        shown.note("x")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("seconds", "said"), [(42, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
