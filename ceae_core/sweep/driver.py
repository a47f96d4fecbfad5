"""The loop of a sweep: starts runs as places become free, and does with each ended attempt what the policy says."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ceae_core.spec import RunSpec
from ceae_core.sweep.policy import DIED, DONE, MEMORY, Account, Ending

POLL = 0.2                  # seconds between looks at what runs
PATIENCE = 2.0              # seconds before another look at a run that another process trains


class Engine(Protocol):
    """Where runs are trained.  `start` may do the whole work at once; `ended` then tells of it."""

    slots: int                          # runs at a time

    def start(self, spec: RunSpec) -> None: ...

    def ended(self) -> list[tuple[str, Ending]]:
        """The runs, by id, that ended since the last call."""
        ...

    def permille(self, run_id: str) -> int:
        """How far a run is."""
        ...

    def stop(self) -> None:
        """End everything that runs; what can writes a checkpoint."""
        ...


@dataclass(frozen=True)
class Finished:
    """A run at its end: how, after how many attempts, and the seconds since its first one."""

    run_id: str
    ending: Ending
    attempts: int
    seconds: float

    @property
    def is_good(self) -> bool:
        return self.ending.how == DONE

    @property
    def why(self) -> str:
        """Why it is not done."""
        words = {MEMORY: "it does not fit into memory, not even alone", DIED: f"it died {self.attempts} times"}
        return "; ".join(filter(None, [words.get(self.ending.how, ""), self.ending.why]))


@dataclass
class State:
    """What is shown while a sweep runs."""

    total: int
    running: dict[str, int] = field(default_factory=dict)       # run -> permille
    finished: list[Finished] = field(default_factory=list)
    elsewhere: int = 0                                          # trained by other processes

    @property
    def failed(self) -> int:
        return sum(not each.is_good for each in self.finished)

    @property
    def permille(self) -> int:
        """Of all runs together."""
        return 1000 * len(self.finished) + sum(self.running.values())


def train(specs: Sequence[RunSpec], engine: Engine, show: Callable[[State], None] = lambda state: None,
          sleep: Callable[[float], None] = time.sleep) -> list[Finished]:
    """Every spec to its end, in the order in which they end; `show` is told of the state some times a second.

    Whatever stops it (Ctrl-C, a signal) stops the engine, and a second call continues from the checkpoints.
    """
    by_id = {spec.id: spec for spec in specs}
    accounts, began = {run_id: Account() for run_id in by_id}, {}
    waiting, later, state = deque(by_id), {}, State(len(by_id))
    try:
        while len(state.finished) < len(by_id):
            now = time.monotonic()
            waiting.extend(run_id for run_id, when in later.items() if when <= now)
            later = {run_id: when for run_id, when in later.items() if when > now}
            while waiting and (run_id := _next(waiting, state.running, accounts, engine.slots)):
                waiting.remove(run_id)
                began.setdefault(run_id, time.monotonic())
                state.running[run_id] = 0
                engine.start(by_id[run_id])
            for run_id, ending in engine.ended():
                del state.running[run_id]
                then = accounts[run_id].next(ending)
                if then == "again":
                    waiting.appendleft(run_id)
                elif then == "later":
                    later[run_id] = time.monotonic() + PATIENCE
                else:
                    state.finished.append(Finished(run_id, ending, accounts[run_id].attempts,
                                                   time.monotonic() - began[run_id]))
            state.running = {run_id: engine.permille(run_id) for run_id in state.running}
            state.elsewhere = len(later)
            show(state)
            if state.running or later:
                sleep(POLL)
    finally:
        engine.stop()
    return state.finished


def _next(waiting: deque[str], running: dict[str, int], accounts: dict[str, Account], slots: int) -> str | None:
    """The first that may start now: a run that needs the machine for itself waits for all others, and they for it."""
    if len(running) >= slots or any(accounts[run_id].alone for run_id in running):
        return None
    together = next((run_id for run_id in waiting if not accounts[run_id].alone), None)
    return together if together or running else waiting[0]
