"""Small experiments that are no training of a family: computed once for their parameters, kept as JSON beside the runs.

A result is a mapping of plain numbers and lists.  Like a run it is found by what it depends on: the name, the
parameters and VERSION of the module that computes it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from filelock import FileLock

from ceae_core.errors import CeaeError
from ceae_core.files import make_folder, write_atomic
from ceae_core.hardware import environment
from ceae_core.progress import say
from ceae_core.runs import Store

RESULTS = Path(__file__).resolve().parents[2] / "results" / "experiments"


def identity(name: str, version: int, parameters: Mapping[str, Any]) -> str:
    """Readable prefix and 12 digits of the sha256 of name, version and parameters."""
    canonical = json.dumps({"name": name, "version": version, "parameters": dict(parameters)}, sort_keys=True)
    return f"{name}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


def obtain(name: str, compute: Callable[..., Mapping[str, Any]], parameters: Mapping[str, Any], *, version: int = 1,
           store: Store | None = None) -> dict[str, Any]:
    """The result of `compute(**parameters)`, from the store or computed now: {"id", "parameters", "result", …}.

    A second process that wants the same waits for the first.  A file that cannot be read is computed again, and said.
    """
    made = identity(name, version, parameters)
    path = _path(store or Store(), made)
    make_folder(path.parent)
    with FileLock(path.with_suffix(".lock")):
        if path.exists():
            try:
                return _read(path)
            except CeaeError as error:
                say(f"{error}; computing it again")
        import torch
        content = {"id": made, "name": name, "version": version, "parameters": dict(parameters),
                   "environment": environment(torch.device("cpu")), "result": dict(compute(**parameters))}
        write_atomic(path, json.dumps(content) + "\n")
        return json.loads(path.read_text(encoding="utf-8"))


def obtain_each(name: str, compute: Callable[..., Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]], *,
                version: int = 1, store: Store | None = None, workers: int | None = None) -> list[dict[str, Any]]:
    """`obtain` for each of the `wanted` parameters, in their order; what is missing is computed side by side.

    `compute` must be a function of a module; `workers` processes, by default the CPU cores, compute one result each.
    """
    store = store or Store()
    missing = [parameters for parameters in wanted if not _path(store, identity(name, version, parameters)).exists()]
    workers = min(len(missing), workers or os.cpu_count() or 1)
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(partial(obtain, name, compute, version=version, store=store), missing))
    return [obtain(name, compute, parameters, version=version, store=store) for parameters in wanted]


def _path(store: Store, made: str) -> Path:
    return store.root / "experiments" / f"{made}.json"


def known(name: str, parameters: Mapping[str, Any], *, version: int = 1, store: Store | None = None,
          results: Path = RESULTS) -> dict[str, Any] | None:
    """The result with these parameters that this machine keeps, else the recorded one, else None.

    Raises CeaeError naming a damaged file.
    """
    made = identity(name, version, parameters)
    found = [path for path in (_path(store or Store(), made), results / f"{made}.json") if path.exists()]
    return _read(found[0]) if found else None


def recorded(name: str, results: Path = RESULTS) -> list[dict[str, Any]]:
    """The recorded results of the experiment `name`, sorted by id.  Raises CeaeError naming a damaged file."""
    return [content for path in sorted(results.glob(f"{name}-*.json")) if (content := _read(path))["name"] == name]


def record(content: Mapping[str, Any], results: Path = RESULTS) -> Path:
    """Write a result of `obtain` among the recorded ones; returns the file."""
    path = make_folder(results) / f"{content['id']}.json"
    write_atomic(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["id"] != identity(content["name"], content["version"], content["parameters"]):
            raise ValueError("its id does not fit its parameters")
        content["result"]
        return content
    except (ValueError, KeyError, TypeError) as error:
        raise CeaeError(f"{path}: not a result of an experiment ({error})") from error
