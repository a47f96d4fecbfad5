import io
import time

import pytest

from ceae_core.book import statusline


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_log_gets_a_line_now_and_then(tmp_path):
    stream, path = io.StringIO(), tmp_path / "progress"
    with statusline.following(path, "[1/2] intro", stream, log_every=0.05):
        time.sleep(0.12)
        path.write_text("train vae: 45 % · 12 s left\nnot shown")
        time.sleep(0.2)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[1/2] intro · 0 s"
    assert lines[-1] == "[1/2] intro · 0 s · train vae: 45 % · 12 s left" and 3 <= len(lines) <= 8


def test_short_work_leaves_a_log_silent(tmp_path):
    stream = io.StringIO()
    with statusline.following(tmp_path / "progress", "x", stream):
        pass
    assert stream.getvalue() == ""


def test_terminal_line_is_replaced_and_erased(tmp_path, monkeypatch):
    monkeypatch.setattr(statusline, "TERMINAL_EVERY", 0.02)
    monkeypatch.setenv("COLUMNS", "30")
    (tmp_path / "progress").write_text("x" * 100)
    stream = Terminal()
    with pytest.raises(KeyError), statusline.following(tmp_path / "progress", "label", stream):
        time.sleep(0.1)
        raise KeyError
    written = stream.getvalue()
    assert "\n" not in written and written.endswith("\r\x1b[K")
    assert all(len(line) <= 29 for line in written.split("\r\x1b[K"))


@pytest.mark.parametrize("seconds, text", [(0.4, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"),
                                           (3780, "1 h 03 min")])
def test_clock(seconds, text):
    assert statusline.clock(seconds) == text
