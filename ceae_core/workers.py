"""One run in a process of its own: how it is started, how far it is, and what its end means."""

import os
import subprocess
import sys
from pathlib import Path

from ceae_core.files import make_folder
from ceae_core.runs import Store
from ceae_core.spec import RunSpec

EXIT_STOPPED, EXIT_BUSY = 75, 76        # of `ceae run-spec`: told to stop; another process has the run
ROOT = str(Path(__file__).resolve().parent.parent)
OUT_OF_MEMORY = ("out of memory", "MemoryError", "can't allocate memory")     # what PyTorch and Python say
EVENTS = Path("/sys/fs/cgroup/memory.events")


class Worker:
    """A process that trains one run with one thread; told to stop, it writes a checkpoint and leaves."""

    def __init__(self, spec: RunSpec, store: Store, device: str) -> None:
        logs = make_folder(store.root / "logs")
        self.spec, self.log, self.status = spec, logs / f"{spec.id}.log", logs / f"{spec.id}.progress"
        command = [sys.executable, "-m", "ceae_core", "run-spec", "--runs", str(store.root), "--device", device]
        env = os.environ | {"CEAE_PROGRESS_FILE": str(self.status), "OMP_NUM_THREADS": "1",
                            "PYTHONPATH": os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])}
        self.status.unlink(missing_ok=True)
        self.killed_before = killed_for_memory()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                                            env=env)
        self.process.stdin.write(spec.to_json().encode())
        self.process.stdin.close()

    @property
    def code(self) -> int | None:
        """Its exit status, minus the signal that killed it; None while it lives."""
        return self.process.poll()

    @property
    def lacked_memory(self) -> bool:
        """Whether it ended because it got no memory: it says so, or the system killed something for memory since."""
        if self.code is not None and self.code < 0:
            return killed_for_memory() > self.killed_before
        return bool(self.code) and any(words in self.last_line() for words in OUT_OF_MEMORY)

    def last_line(self) -> str:
        """What it said last."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].removeprefix("ceae: ") if lines else ""

    def why(self) -> str:
        """Why it ended, in its words where it had any."""
        if self.code is not None and self.code < 0:
            return f"its process was killed by signal {-self.code}; the same call continues it"
        return self.last_line() or f"its process left with exit status {self.code}"

    def stop(self) -> None:
        """Tell it to write a checkpoint and leave; `wait` for that."""
        self.process.terminate()

    def wait(self) -> None:
        self.process.wait()


def permille(status: Path) -> int:
    """How far a run is, from the file with its status line "label: 45% · 12 s left"; 0 where there is none."""
    try:
        return min(999, 10 * int(status.read_text(encoding="utf-8").split(": ")[-1].split("%")[0]))
    except (OSError, ValueError, IndexError):
        return 0


def killed_for_memory() -> int:
    """How many processes the system has killed for memory in this container; 0 where it does not say."""
    try:
        counts = dict(line.split() for line in EVENTS.read_text().splitlines())
        return int(counts.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0
