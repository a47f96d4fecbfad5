"""Where a sweep's runs are trained: in this process one after the other, or in processes side by side."""

import os

from ceae_core.errors import CeaeError
from ceae_core.hardware import choose_device
from ceae_core.manifest import COMPLETE
from ceae_core.runs import Busy, Store
from ceae_core.spec import RunSpec
from ceae_core.sweep.policy import BAD, BUSY, DIED, DIVERGED, DONE, MEMORY, Ending
from ceae_core.workers import EXIT_BUSY, EXIT_STOPPED, OUT_OF_MEMORY, Worker, permille


class Serial:
    """In this process: what a person debugs.  Ctrl-C and SIGTERM pass through, after a checkpoint."""

    slots = 1

    def __init__(self, store: Store, device: str) -> None:
        self.store, self.device, self._ended = store, device, []

    def start(self, spec: RunSpec) -> None:
        self._ended.append((spec.id, attempt(spec, self.store, self.device)))

    def ended(self) -> list[tuple[str, Ending]]:
        found, self._ended = self._ended, []
        return found

    def permille(self, run_id: str) -> int:
        return 0

    def stop(self) -> None:
        """Nothing runs between two calls."""


def attempt(spec: RunSpec, store: Store, device: str) -> Ending:
    """Train a run here and now, and say how that ended."""
    from ceae_core.execute import obtain
    try:
        run = obtain(spec, store, device=device, wait=False)
    except Busy as error:
        return Ending(BUSY, str(error))
    except (CeaeError, OSError) as error:
        return Ending(BAD, str(error))
    except (MemoryError, RuntimeError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        return Ending(MEMORY if any(words in said for words in OUT_OF_MEMORY) else BAD, said)
    return Ending(DONE) if run.status == COMPLETE else Ending(DIVERGED, run.record["reason"])


def slots(device: str) -> int:
    """Runs at a time where nobody says: as many as cores, one on a GPU."""
    return 1 if choose_device(device).type == "cuda" else os.cpu_count() or 1


class Processes:
    """Each run in a process of its own, with one thread: on a small machine two threads stall each other."""

    def __init__(self, store: Store, device: str, slots: int) -> None:
        self.store, self.device, self.slots = store, device, slots
        self.workers: dict[str, Worker] = {}

    def start(self, spec: RunSpec) -> None:
        self.workers[spec.id] = Worker(spec, self.store, self.device)

    def ended(self) -> list[tuple[str, Ending]]:
        gone = {run_id: worker for run_id, worker in self.workers.items() if worker.code is not None}
        for run_id in gone:
            del self.workers[run_id]
        return [(run_id, self._ending(worker)) for run_id, worker in gone.items()]

    def _ending(self, worker: Worker) -> Ending:
        if worker.code == 0:
            run = self.store.find(worker.spec.id)
            return Ending(DONE) if run.status == COMPLETE else Ending(DIVERGED, run.record["reason"])
        if worker.lacked_memory:
            return Ending(MEMORY, worker.why())
        if worker.code < 0 or worker.code == EXIT_STOPPED:
            return Ending(DIED, worker.why())
        return Ending(BUSY if worker.code == EXIT_BUSY else BAD, worker.why())

    def permille(self, run_id: str) -> int:
        return permille(self.workers[run_id].status)

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()                       # all of them first, so that they write their checkpoints together
        for worker in self.workers.values():
            worker.wait()
