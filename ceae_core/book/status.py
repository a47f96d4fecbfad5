"""What the status chapter shows: versions, hardware, and what the runner recorded about each chapter."""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import ceae_core
from ceae_core.book import record
from ceae_core.book.statusline import clock
from ceae_core.report.tables import Table

PACKAGES = ("torch", "numpy", "safetensors", "pandas", "scipy", "scikit-learn", "matplotlib", "transformers", "kenlm",
            "papermill", "jupyter-book", "sphinx", "myst-nb")


def versions() -> Table:
    """Python, this package and the libraries that the numbers depend on."""
    rows = [("Python", platform.python_version()), ("ceae_core", ceae_core.__version__)]
    rows += [(name, _version(name)) for name in PACKAGES]
    return Table([{"package": name, "version": version} for name, version in rows], "Versions")


def hardware() -> Table:
    """Processor, cores, memory, accelerator and operating system of the machine that executed this chapter."""
    rows = {"processor": _processor(), "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
            else os.cpu_count(), "memory": _memory(), "accelerator": _accelerator(),
            "operating system": f"{platform.system()} {platform.release()} ({platform.machine()})"}
    return Table([{"part": part, "value": str(value)} for part, value in rows.items()], "Hardware")


def chapters(log: Mapping[str, Any] | None = None) -> Table:
    """Per chapter: outcome, seconds, time of execution, parameters other than the defaults, runs it used."""
    entries = (recorded() if log is None else log)["chapters"]
    rows = []
    for name, entry in entries.items():
        if entry["status"] == "running":
            continue        # the chapter that shows this table
        rows.append({"chapter": name, "outcome": entry["status"],
                     "duration": clock(entry["seconds"]) if "seconds" in entry else "",
                     "finished (UTC)": entry.get("finished", "")[:16].replace("T", " "),
                     "parameters": ", ".join(f"{k} = {v}" for k, v in entry["parameters"].items()) or "defaults",
                     "runs": _counts(run.get("action", "") for run in entry.get("runs", []))})
    return Table(rows, "Chapters of this build: outcome, time and runs")


def runs(log: Mapping[str, Any] | None = None) -> Table:
    """Every run that a chapter asked for: loaded from the store, trained or resumed, and the seconds that took."""
    entries = (recorded() if log is None else log)["chapters"]
    rows = [{"chapter": run.get("chapter") or name, "run": run.get("run", ""), "action": run.get("action", ""),
             "seconds": float(run.get("seconds", 0))} for name, entry in entries.items()
            for run in entry.get("runs", [])]
    return Table(rows, "Runs behind the chapters", places=1, name="runs")


def recorded() -> dict[str, Any]:
    """The runner's record; empty when the chapter is executed by hand."""
    path = os.environ.get(record.VARIABLE)
    return record.read(Path(path).parent) if path else {"chapters": {}}


def _counts(actions: Iterable[str]) -> str:
    """`2 trained, 1 loaded`, the most frequent first."""
    return ", ".join(f"{count} {action}" for action, count in Counter(actions).most_common()) or "none"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return "unknown"


def _accelerator() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    return "Apple GPU" if torch.backends.mps.is_available() else "none"
