"""One line about the work of another process: in place on a terminal, now and then in a log."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

TERMINAL_EVERY = 0.3    # seconds between updates
LOG_EVERY = 15.0


@contextmanager
def following(path: Path, label: str, stream: TextIO | None = None, log_every: float = LOG_EVERY) -> Iterator[None]:
    """While the block runs, show `label`, the elapsed time and the newest content of the file `path` on stderr."""
    stream = stream or sys.stderr
    live, over, began = stream.isatty(), threading.Event(), time.monotonic()

    def show() -> None:
        while not over.wait(TERMINAL_EVERY if live else log_every):
            line = f"{label} · {clock(time.monotonic() - began)}{_news(path)}"
            if live:
                width = shutil.get_terminal_size().columns - 1
                stream.write(f"\r\x1b[K{line[:width]}")
            else:
                stream.write(line + "\n")
            stream.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if live:
            stream.write("\r\x1b[K")
            stream.flush()


def clock(seconds: float) -> str:
    """`7 s`, `2 min 05 s`, `1 h 03 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _news(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return f" · {lines[0].strip()}" if lines[0].strip() else ""
