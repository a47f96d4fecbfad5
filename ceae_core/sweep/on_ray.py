"""A sweep on Ray: one machine or a cluster whose nodes share the folder of runs.  Needs the extra `sweep`."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ceae_core.errors import NotRun
from ceae_core.files import make_folder
from ceae_core.runs import Store
from ceae_core.spec import RunSpec
from ceae_core.sweep.engines import attempt
from ceae_core.sweep.policy import BAD, DIED, MEMORY, Ending
from ceae_core.workers import permille

STOP_SECONDS = 60.0         # that runs have to write their checkpoints when a sweep is stopped


def train(spec: str, root: str, device: str, status: str) -> tuple[str, str]:
    """In a worker of Ray: train the spec; how that ended, and why."""
    from ceae_core.training import Preempted
    os.environ["CEAE_PROGRESS_FILE"] = status
    try:
        ending = attempt(RunSpec.from_json(spec), Store(root), device)
    except Preempted as stopped:
        return DIED, str(stopped)
    return ending.how, ending.why


class OnRay:
    """Ray Core tasks, each in a fresh process with one CPU and `gpus` of a GPU; Ray itself repeats nothing.

    `address` is that of a cluster (None: one is started here with `cpus`), whose workers see the store under the same
    path.  As many runs at a time as CPUs, or as shares of GPUs, are in it.
    """

    def __init__(self, store: Store, device: str, *, cpus: int | None = None, gpus: float = 0.0,
                 address: str | None = None) -> None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")         # nobody else on the machine may submit work
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError as error:
            raise NotRun(f"engine ray needs the package ray ({error}); pip install 'ceae-book[sweep]'") from error
        self.ray, self.store, self.device, self.gpus = ray, store, device, gpus
        here = {} if address else {"num_cpus": cpus, "object_store_memory": 80_000_000}
        with _own_signals():
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level="ERROR", **here)
        self.task = ray.remote(num_cpus=1, num_gpus=gpus, max_calls=1, max_retries=0)(train)
        self.tasks: dict[Any, str] = {}                         # reference to what a task returns -> run
        self.logs = make_folder(store.root / "logs")

    @property
    def slots(self) -> int:
        """What the machines that are there now have room for."""
        there = self.ray.cluster_resources()
        room = there.get("GPU", 0.0) / self.gpus if self.gpus else there.get("CPU", 0.0)
        return max(1, int(room + 1e-6))

    def _status(self, run_id: str) -> Path:
        return self.logs / f"{run_id}.progress"

    def start(self, spec: RunSpec) -> None:
        self._status(spec.id).unlink(missing_ok=True)
        root = str(self.store.root.absolute())
        self.tasks[self.task.remote(spec.to_json(), root, self.device, str(self._status(spec.id).absolute()))] = spec.id

    def ended(self) -> list[tuple[str, Ending]]:
        done, _ = self.ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=0) if self.tasks else ([], [])
        return [(self.tasks.pop(reference), self._ending(reference)) for reference in done]

    def _ending(self, reference: Any) -> Ending:
        errors = self.ray.exceptions
        try:
            return Ending(*self.ray.get(reference))
        except errors.OutOfMemoryError as error:
            return Ending(MEMORY, _first_line(error))
        except errors.RayTaskError as error:                    # an error of the program
            return Ending(BAD, _first_line(error.cause))
        except errors.RayError as error:                        # a worker, a node or a message was lost
            return Ending(DIED, _first_line(error))

    def permille(self, run_id: str) -> int:
        return permille(self._status(run_id))

    def stop(self) -> None:
        for reference in self.tasks:
            self.ray.cancel(reference)                          # as Ctrl-C: the run writes a checkpoint
        if self.tasks:
            self.ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=STOP_SECONDS)
        self.tasks.clear()
        self.ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself and aborts; after the block it is again what it was before."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
