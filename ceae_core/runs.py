"""The run store: one folder per run, every file listed with size and sha256, nothing trusted that does not match.

    runs/<id>/  spec.json  MANIFEST.json  state-<step>.pt               while a run is in training
                spec.json  MANIFEST.json  model.safetensors  metrics.json  history.jsonl  samples.txt  vocabulary.json
    runs/quarantine/  folders that did not match their manifest, kept for inspection

MANIFEST.json is written last and names the files that count, so whatever is killed when, a folder always opens.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import safetensors.torch
import torch

from ceae_core import manifest
from ceae_core.assembly import build_model
from ceae_core.corpora import Vocabulary
from ceae_core.errors import CeaeError
from ceae_core.files import make_folder, write_atomic
from ceae_core.manifest import COMPLETE, FINAL, MANIFEST, TRAINING, Corrupt
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.progress import say
from ceae_core.spec import RunSpec

QUARANTINE = "quarantine"
IS_RUN = re.compile(r"[a-z0-9+-]+-s-?[0-9]+-[0-9a-f]{12}")       # names of run folders; the store touches no others


class Busy(CeaeError):
    """Another process works on the run."""


class Run:
    """A run's folder, read.  `status` is training, complete or diverged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = manifest.read(folder)
        self.status: str = self.manifest["status"]
        self.spec = RunSpec.from_json((folder / "spec.json").read_text(encoding="utf-8"))

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def record(self) -> dict[str, Any]:
        """metrics.json: the metrics, on what they were measured, where and how long the run took."""
        return json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))

    @property
    def metrics(self) -> dict[str, Any]:
        """Measures of the test set by name; empty for a run that diverged."""
        return self.record["metrics"]

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row per epoch."""
        lines = (self.folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def samples(self) -> dict[str, list[str]]:
        """Sentences drawn from the prior, by decoding rule."""
        out: dict[str, list[str]] = {}
        for line in (self.folder / "samples.txt").read_text(encoding="utf-8").splitlines():
            how, _, sentence = line.partition("\t")
            out.setdefault(how, []).append(sentence)
        return out

    def require(self, what: str) -> None:
        """CeaeError saying that a run that diverged lacks `what`; nothing for a complete one."""
        if self.status != COMPLETE:
            raise CeaeError(f"run {self.id}: it diverged, there {what}")

    def vocabulary(self) -> Vocabulary:
        return Vocabulary.from_json((self.folder / "vocabulary.json").read_text(encoding="utf-8"))

    def model(self, device: torch.device | str = "cpu") -> TextAutoencoder:
        """The best model of the run on validation, in evaluation mode."""
        weights = safetensors.torch.load_file(self.folder / "model.safetensors")
        return build_model(self.spec, self.vocabulary(), weights).to(device).eval()

    def checkpoint(self, device: torch.device) -> dict | None:
        """The state of a run in training, or None before its first checkpoint.

        Raises Corrupt for a file that is not a checkpoint; nothing in it is ever executed.
        """
        state = read_state(self.folder, self.manifest["files"], device)
        if state is None:
            return None
        try:
            return {"training": state["training"], "seconds": float(state["seconds"])}
        except (LookupError, TypeError, ValueError) as error:
            raise Corrupt(f"run {self.id}: its state is not a checkpoint of a run") from error


def read_state(folder: Path, files: Iterable[str], device: torch.device) -> dict | None:
    """The checkpoint among the `files` of a folder, None if there is none.  Raises Corrupt for a file that is none."""
    states = [name for name in files if name.startswith("state-")]
    if not states:
        return None
    try:
        return torch.load(folder / states[0], map_location=device, weights_only=True)
    except Exception as error:                  # torch.load has no error of its own for bytes that are no checkpoint
        raise Corrupt(f"{folder.name}: {states[0]} is not a checkpoint") from error


class Store:
    """A folder of runs.  The default is `runs/` here, or what CEAE_RUNS names."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root or os.environ.get("CEAE_RUNS") or "runs")

    def folder(self, run_id: str) -> Path:
        return self.root / run_id

    @contextmanager
    def lease(self, run_id: str, wait: bool = True) -> Iterator[None]:
        """Only one process works on a run; the operating system frees the lease of a killed one.

        Raises Busy at once if another process has it and `wait` is false, CeaeError if the store cannot be written to.
        """
        lock = filelock.FileLock(make_folder(self.root / "locks") / f"{run_id}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if not wait:
                raise Busy(f"run {run_id}: another process is training it; "
                           "leave out --no-wait to wait for it") from None
            say(f"{run_id}: another process is training it, waiting")
            lock.acquire()
        except OSError as error:
            raise CeaeError(f"{lock.lock_file}: cannot be written ({error.strerror}); choose another --runs") from error
        try:
            yield
        finally:
            lock.release()

    def open(self, run_id: str) -> Run | None:
        """The run, verified; None if there is none.  Raises Corrupt if its files do not match the manifest."""
        folder = self.folder(run_id)
        while manifest.has_begun(folder):
            before = manifest.content(folder)
            try:
                run = Run(folder)
            except Corrupt:
                if manifest.content(folder) == before:
                    raise
                continue                        # the process that trains it has just written a checkpoint
            if run.spec.id != run_id:
                raise Corrupt(f"run {run_id}: spec.json belongs to {run.spec.id}")
            return run
        return None

    def open_or_quarantine(self, run_id: str) -> Run | None:
        """As `open`, but a damaged run goes to quarantine and counts as none.  Call it under the run's lease."""
        try:
            return self.open(run_id)
        except CeaeError as error:
            self.quarantine(run_id, str(error))
            return None

    def finished(self, run_id: str) -> Run | None:
        """The run if it is at its end; None if it is missing, in training or in work elsewhere.

        A damaged one goes to quarantine and counts as missing.
        """
        try:
            with self.lease(run_id, wait=False):
                run = self.open_or_quarantine(run_id)
        except Busy:
            return None
        return run if run is not None and run.status != TRAINING else None

    def quarantine(self, run_id: str, reason: str) -> None:
        """Put a damaged run aside, with a word to the user.  Call it under the run's lease."""
        target = tempfile.mkdtemp(prefix=f"{run_id}-{time.strftime('%Y%m%dT%H%M%S')}-",
                                  dir=make_folder(self.root / QUARANTINE))
        os.replace(self.folder(run_id), target)
        say(f"{reason}; moved to {target}, the run starts afresh")

    def find(self, name: str) -> Run:
        """The run named by its id, by an unambiguous beginning or part of it, or by the path of its folder.

        Raises CeaeError when there is none, when several fit, or when the run is damaged or not finished.
        """
        path = Path(name).resolve()
        fits = (str.__eq__, str.startswith, str.__contains__)           # the first that any run meets decides
        ids = next(filter(None, ([i for i in self.ids() if fit(i, name)] for fit in fits)), [])
        if (path / MANIFEST).is_file():
            ids = [path.name]
        if len(ids) != 1:
            several = f"{len(ids)} runs fit: {', '.join(ids[:4])}{', …' * (len(ids) > 4)}"
            none = f"there is none in {self.root}; `ceae runs list` shows what there is"
            raise CeaeError(f"run {name!r}: {several if ids else none}")
        store = Store(path.parent) if (path / MANIFEST).is_file() else self
        run_id = ids[0]
        try:
            run = store.open(run_id)
        except Corrupt as error:
            raise CeaeError(f"{error}; repeat its `ceae train` command to do it again") from error
        if run is None or run.status == TRAINING:
            raise CeaeError(f"run {run_id}: its training is not finished; repeat its `ceae train` command to continue")
        return run

    def ids(self) -> list[str]:
        """Names of all run folders, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and IS_RUN.fullmatch(p.name))

    def begin(self, spec: RunSpec) -> Run:
        """An empty run in training."""
        folder = make_folder(self.folder(spec.id))
        write_atomic(folder / "spec.json", spec.to_json())
        manifest.write(folder, TRAINING, ["spec.json"])
        return Run(folder)

    def save_state(self, run_id: str, state: dict, step: int) -> None:
        """A checkpoint: the new file first, then the manifest that names it, then the old one goes."""
        folder, buffer = self.folder(run_id), io.BytesIO()
        torch.save(state, buffer)
        name = f"state-{step:09d}.pt"
        write_atomic(folder / name, buffer.getvalue())
        manifest.write(folder, TRAINING, ["spec.json", name])
        manifest.remove_unlisted(folder)

    def finish(self, run_id: str, status: str, *, model: dict[str, torch.Tensor], record: dict, history: list[dict],
               samples: dict[str, list[str]], vocabulary: Vocabulary) -> Run:
        """Write the results; the manifest, last, makes them count and the checkpoint disappears."""
        folder = self.folder(run_id)
        weights = {name: value.contiguous().cpu() for name, value in model.items()}
        write_atomic(folder / "model.safetensors", safetensors.torch.save(weights))
        write_atomic(folder / "metrics.json", json.dumps(record, indent=2) + "\n")
        write_atomic(folder / "history.jsonl", "".join(json.dumps(row) + "\n" for row in history))
        lines = (f"{how}\t{sentence}\n" for how, sentences in samples.items() for sentence in sentences)
        write_atomic(folder / "samples.txt", "".join(lines))
        write_atomic(folder / "vocabulary.json", vocabulary.to_json())
        manifest.write(folder, status, FINAL)
        manifest.remove_unlisted(folder)
        return Run(folder)

    def prune(self) -> tuple[list[str], int]:
        """Delete the quarantine and all runs that are damaged or unfinished and not in work; (names, bytes) of both."""
        gone, size = [], 0
        for run_id in self.ids():
            try:
                with self.lease(run_id, wait=False):
                    if not self._is_finished(run_id):
                        size += _delete(self.folder(run_id))
                        gone.append(run_id)
            except Busy:
                continue
        if (self.root / QUARANTINE).is_dir():
            gone += sorted(path.name for path in (self.root / QUARANTINE).iterdir())
            size += _delete(self.root / QUARANTINE)
        return gone, size

    def _is_finished(self, run_id: str) -> bool:
        try:
            run = self.open(run_id)
        except CeaeError:
            return False
        return run is not None and run.status != TRAINING


def _delete(folder: Path) -> int:
    """Remove a folder with all it holds; the bytes it took."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder)
    return size
