"""Progress: a bar where somebody looks, lines in a log, one status file for the chapter runner."""

import io
import sys
from pathlib import Path

import pytest

from ceae_core import progress


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """clock[0] is the time in seconds, moved by hand."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.delenv("CEAE_PROGRESS_FILE", raising=False)
    return now


def advance(shown, clock: list[float], steps: int, seconds: float) -> None:
    for _ in range(steps):
        clock[0] += seconds
        shown.update(1)


def test_a_log_gets_a_line_now_and_then(clock: list[float], capsys: pytest.CaptureFixture) -> None:
    with progress.bar(100, "train x") as shown:
        advance(shown, clock, 50, 1.0)
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["train x: 20% · 1 min 20 s left", "train x: 40% · 1 min 00 s left"]
    assert captured.out == ""


def test_time_left_counts_from_where_this_process_began(clock: list[float], capsys: pytest.CaptureFixture) -> None:
    with progress.bar(100, "train x", done=60) as shown:
        advance(shown, clock, 20, 1.0)
    assert capsys.readouterr().err == "train x: 80% · 20 s left\n"


def test_the_headline_is_part_of_the_line(clock: list[float], capsys: pytest.CaptureFixture) -> None:
    with progress.bar(40, "train x") as shown:
        shown.set_postfix_str("epoch 1: Rec 3.2")
        advance(shown, clock, 20, 1.0)
        shown.set_postfix_str("epoch 2: Rec 3.1")
        advance(shown, clock, 20, 1.0)
    assert capsys.readouterr().err.splitlines() == ["train x · epoch 1: Rec 3.2: 50% · 20 s left",
                                                    "train x · epoch 2: Rec 3.1: 100% · 0 s left"]


def test_the_status_file_replaces_all_output(clock: list[float], tmp_path: Path, monkeypatch,
                                             capsys: pytest.CaptureFixture) -> None:
    path, written = tmp_path / "status", []
    monkeypatch.setenv("CEAE_PROGRESS_FILE", str(path))
    with progress.bar(100, "train x") as shown:
        for _ in range(40):
            advance(shown, clock, 1, 0.1)
            written.append(path.read_text())
    assert written[0] == "train x: 1% · 10 s left" and written[-1].startswith("train x: ")
    assert len(set(written)) <= 10                      # at most twice a second in four seconds, and the first
    progress.say("a word")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_status_file_that_cannot_be_written_stops_nothing(clock: list[float], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CEAE_PROGRESS_FILE", str(tmp_path / "no folder" / "status"))
    with progress.bar(10, "train x") as shown:
        advance(shown, clock, 10, 1.0)
    assert shown.n == 10


def test_nothing_to_do_is_no_division_by_zero(clock: list[float], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CEAE_PROGRESS_FILE", str(tmp_path / "status"))
    with progress.bar(0, "train x") as shown:
        shown.update(0)
        advance(shown, clock, 1, 1.0)


def test_a_terminal_gets_a_bar(monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True
    screen = Terminal()
    monkeypatch.delenv("CEAE_PROGRESS_FILE", raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.bar(4, "train x", done=1) as shown:
        shown.update(2)
        shown.set_postfix_str("epoch 1")
    assert "train x" in screen.getvalue() and "3/4" in screen.getvalue() and "epoch 1" in screen.getvalue()


def test_say_is_for_people(monkeypatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.delenv("CEAE_PROGRESS_FILE", raising=False)
    progress.say("a word")
    captured = capsys.readouterr()
    assert captured.err == "a word\n" and captured.out == ""


@pytest.mark.parametrize("seconds, text", [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3725, "62 min 05 s")])
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text
