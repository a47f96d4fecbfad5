"""What a person sees of a sweep: a table in a terminal, a line now and then in a log."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ceae_core.progress import bar, duration, is_live
from ceae_core.sweep.driver import State

BAR = 24                    # characters of a bar
REFRESH = 0.5               # seconds between drawings
UP, CLEAR = "\x1b[{}A", "\x1b[J"


def follow(progress: Any) -> Callable[[State], None]:
    """Moves a bar of permilles to where a sweep is; never back, as when a run begins again."""
    position = 0

    def move(state: State) -> None:
        nonlocal position
        progress.update(max(0, state.permille - position))
        position = max(position, state.permille)
    return move


def head(state: State, held: int, seconds: float) -> str:
    """ "12 of 24 done, 1 failed, 2 running, 3 min 20 s left"; `held` of the runs were there before."""
    done = len(state.finished) - state.failed + held
    said = [f"{done} of {state.total + held} done", f"{state.failed} failed", f"{len(state.running)} running"]
    if state.elsewhere:
        said.append(f"{state.elsewhere} in work elsewhere")
    if state.permille and state.permille < 1000 * state.total:
        said.append(f"{duration(seconds * (1000 * state.total / state.permille - 1))} left")
    return ", ".join(said)


def lines(state: State, held: int, seconds: float, columns: int) -> list[str]:
    """The table: what all together are at, then a line for each run in work, then the failures so far."""
    out = [f"sweep: {head(state, held, seconds)}"]
    for run_id, permille in state.running.items():
        full = BAR * permille // 1000
        out.append(f"  {'█' * full}{'·' * (BAR - full)} {permille / 1000:4.0%}  {run_id}")
    out += [f"  failed  {each.run_id}: {each.ending.how}" for each in state.finished if not each.is_good]
    return [line[:columns - 1] for line in out]


@contextmanager
def shown(total: int, held: int) -> Iterator[Callable[[State], None]]:
    """Inside the block, a function that is told of the state and shows it."""
    began = time.monotonic()
    if is_live():
        table = _Table(began, held)
        yield table
        table.draw(last=True)
        return
    with bar(1000 * total, "sweep") as progress:
        move = follow(progress)

        def tell(state: State) -> None:
            progress.set_postfix_str(head(state, held, time.monotonic() - began).rpartition(", ")[0]
                                     if state.permille else "")
            move(state)
        yield tell


class _Table:
    """Lines that are written over."""

    def __init__(self, began: float, held: int) -> None:
        self.began, self.held, self.height, self.drawn, self.state = began, held, 0, 0.0, None

    def __call__(self, state: State) -> None:
        self.state = state
        if time.monotonic() - self.drawn >= REFRESH:
            self.draw()

    def draw(self, last: bool = False) -> None:
        if self.state is None:
            return
        self.drawn = time.monotonic()
        text = lines(self.state, self.held, self.drawn - self.began, shutil.get_terminal_size().columns)
        if not last:                            # what does not fit cannot be written over
            text = text[:shutil.get_terminal_size().lines - 1]
        sys.stderr.write((UP.format(self.height) if self.height else "") + "\r" + CLEAR + "\n".join(text) + "\n")
        sys.stderr.flush()
        self.height = len(text)
