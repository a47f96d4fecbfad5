"""One way to show progress, wherever the work runs.

A terminal or a live notebook gets a tqdm bar, a log file a line now and then.  When the environment variable
CEAE_PROGRESS_FILE names a file (the chapter runner sets it for its kernels), the current line goes there and nothing
is printed, so executed chapters stay free of noise.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOG_EVERY = 20.0        # seconds between lines in a log file
FILE_EVERY = 0.5        # seconds between updates of the status file


def is_live() -> bool:
    """Whether someone looks on, at a terminal or at a notebook, and is not to be left in peace."""
    if os.environ.get("CEAE_PROGRESS_FILE"):
        return False
    ipython = sys.modules.get("IPython")
    return sys.stderr.isatty() or hasattr(ipython.get_ipython() if ipython else None, "kernel")


class _Lines:
    """Progress as plain lines, for a log or for the status file."""

    def __init__(self, total: int, label: str, done: int) -> None:
        self.total, self.label, self.n, self.first = total, label, done, done
        self.began = time.monotonic()
        self.shown = self.began if not os.environ.get("CEAE_PROGRESS_FILE") else 0.0

    def update(self, n: int = 1) -> None:
        self.n += n
        path, now = os.environ.get("CEAE_PROGRESS_FILE"), time.monotonic()
        if now - self.shown < (FILE_EVERY if path else LOG_EVERY) or self.n == self.first:
            return
        self.shown = now
        left = (now - self.began) / (self.n - self.first) * (self.total - self.n)
        line = f"{self.label}: {self.n / max(self.total, 1):.0%} · {duration(left)} left"
        if path:
            with suppress(OSError):             # no training ends because nobody can be told how far it is
                Path(path).write_text(line, encoding="utf-8")
        else:
            print(line, file=sys.stderr, flush=True)

    def set_postfix_str(self, text: str) -> None:
        self.label = f"{self.label.split(' · ')[0]} · {text}" if text else self.label

    def close(self) -> None:
        pass


def duration(seconds: float) -> str:
    """ "3 min 20 s"."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


@contextmanager
def bar(total: int, label: str, done: int = 0) -> Iterator:
    """A progress display with `update(n)` and `set_postfix_str(text)`; `done` of `total` lie behind already."""
    if is_live():
        from tqdm import tqdm
        shown = tqdm(total=total, desc=label, initial=done, leave=False, dynamic_ncols=True, mininterval=0.3)
    else:
        shown = _Lines(total, label, done)
    try:
        yield shown
    finally:
        shown.close()


def say(message: str) -> None:
    """One line for the person who waits (stderr); silent inside executed chapters."""
    if not os.environ.get("CEAE_PROGRESS_FILE"):
        print(message, file=sys.stderr, flush=True)
