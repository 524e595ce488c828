"""What a log file hears of long work."""

from __future__ import annotations

import pytest

from semistylegan import progress
from semistylegan.progress import bar, clock


class Clock:
    """Stands still until it is told."""

    now = 1000.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    time = Clock()
    monkeypatch.setattr(progress.time, "monotonic", lambda: time.now)
    return time


def test_the_time_left_is_that_of_this_start(time: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """40 of 100 were done before: 10 took 20 seconds."""
    with bar("work", 100, start=40) as advance:
        time.now += 20
        advance(10, "loss 0.5")
        assert capsys.readouterr().err == "work: 50 of 100, 20 s, 100 s left  loss 0.5\n"
        advance(50)
    assert capsys.readouterr().err == "work: 100 of 100, 20 s  loss 0.5\n"


def test_a_log_hears_now_and_then_and_of_the_end_once(time: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with bar("work", 60) as advance:
        for _ in range(60):
            time.now += 1
            advance()
    lines = [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == [f"work: {done} of 60" for done in (10, 20, 30, 40, 50, 60)]


def test_only_the_first_of_several_processes_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    with bar("work", 3) as advance:
        advance(3)
        advance.log("a line")
    assert capsys.readouterr().err == ""


def test_times_as_people_read_them() -> None:
    assert [clock(s) for s in (0, 75, 3599.9, 3675, 90_000)] == ["0m 00s", "1m 15s", "59m 59s", "1h 01m", "25h 00m"]
