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
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import safetensors.torch
import torch

from ceae_core.assembly import build_model
from ceae_core.corpora import Vocabulary
from ceae_core.errors import CeaeError
from ceae_core.files import sha256, write_atomic
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.progress import say
from ceae_core.spec import RunSpec

MANIFEST = "MANIFEST.json"
FINAL = ("spec.json", "model.safetensors", "metrics.json", "history.jsonl", "samples.txt", "vocabulary.json")
RESERVED = ("quarantine", "locks", "logs")       # folders of the store that are not runs
TRAINING, COMPLETE, DIVERGED = "training", "complete", "diverged"


class Corrupt(CeaeError):
    """A run's files do not match its manifest."""


class Run:
    """A run's folder, read.  `status` is training, complete or diverged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)
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

    def vocabulary(self) -> Vocabulary:
        return Vocabulary.from_json((self.folder / "vocabulary.json").read_text(encoding="utf-8"))

    def model(self, device: torch.device | str = "cpu") -> TextAutoencoder:
        """The best model of the run on validation, in evaluation mode."""
        model = build_model(self.spec, len(self.vocabulary()))
        model.load_state_dict(safetensors.torch.load_file(self.folder / "model.safetensors"))
        return model.to(device).eval()

    def checkpoint(self, device: torch.device) -> dict | None:
        """The state of a run in training, or None before its first checkpoint."""
        states = [name for name in self.manifest["files"] if name.startswith("state-")]
        return torch.load(self.folder / states[0], map_location=device, weights_only=True) if states else None


class Store:
    """A folder of runs.  The default is `runs/` here, or what CEAE_RUNS names."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root or os.environ.get("CEAE_RUNS") or "runs")

    def folder(self, run_id: str) -> Path:
        return self.root / run_id

    @contextmanager
    def lease(self, run_id: str, wait: bool = True) -> Iterator[None]:
        """Only one process works on a run; the operating system frees the lease of a killed one.

        Raises CeaeError at once if another process has it and `wait` is false.
        """
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(locks / f"{run_id}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if not wait:
                raise CeaeError(f"run {run_id}: another process is training it; wait for it or leave out --no-wait") from None
            say(f"{run_id}: another process is training it, waiting")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def open(self, run_id: str) -> Run | None:
        """The run, verified; None if there is none.  Raises Corrupt if its files do not match the manifest."""
        folder = self.folder(run_id)
        if not folder.is_dir() or not any(folder.iterdir()):
            return None
        run = Run(folder)
        if run.spec.id != run_id:
            raise Corrupt(f"run {run_id}: spec.json belongs to {run.spec.id}")
        return run

    def open_or_quarantine(self, run_id: str) -> Run | None:
        """As `open`, but a damaged folder is moved to quarantine, with a word to the user, and counts as none."""
        try:
            return self.open(run_id)
        except CeaeError as error:
            target = self.root / "quarantine" / f"{run_id}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.folder(run_id), target)
            say(f"{error}; moved to {target}, the run starts afresh")
            return None

    def find(self, name: str) -> Run:
        """The run named by its id, an unambiguous part of it, or the path of its folder.

        Raises CeaeError when there is none, when several fit, or when the run is damaged or not finished.
        """
        path = Path(name)
        ids = [path.name] if (path / MANIFEST).is_file() else [i for i in self.ids() if name in i]
        exact = [i for i in ids if i == name]
        if len(exact or ids) != 1:
            raise CeaeError(f"run {name!r}: " + (f"{len(ids)} runs fit ({', '.join(ids[:4])}{', …' * (len(ids) > 4)})" if ids else
                                                f"there is none in {self.root}; `ceae runs list` shows what there is"))
        store = Store(path.parent) if (path / MANIFEST).is_file() else self
        run = store.open((exact or ids)[0])
        if run.status == TRAINING:
            raise CeaeError(f"run {run.id}: its training is not finished; repeat the `ceae train` command to continue it")
        return run

    def ids(self) -> list[str]:
        """Names of all run folders, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and p.name not in RESERVED)

    def begin(self, spec: RunSpec) -> Run:
        """An empty run in training."""
        folder = self.folder(spec.id)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "spec.json", spec.to_json())
        _write_manifest(folder, TRAINING, ["spec.json"])
        return Run(folder)

    def save_state(self, run_id: str, state: dict, step: int) -> None:
        """A checkpoint: the new file first, then the manifest that names it, then the old one goes."""
        folder, buffer = self.folder(run_id), io.BytesIO()
        torch.save(state, buffer)
        name = f"state-{step:09d}.pt"
        write_atomic(folder / name, buffer.getvalue())
        _write_manifest(folder, TRAINING, ["spec.json", name])
        _remove_unlisted(folder)

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
        _write_manifest(folder, status, FINAL)
        _remove_unlisted(folder)
        return Run(folder)

    def prune(self, everything_unfinished: bool = True) -> tuple[list[str], int]:
        """Delete the quarantine and, unless told not to, runs whose training is not finished; (what went, bytes)."""
        gone = [self.root / "quarantine"] if (self.root / "quarantine").is_dir() else []
        for run_id in self.ids() if everything_unfinished else ():
            with self.lease(run_id, wait=False):
                run = self.open_or_quarantine(run_id)
                if run is None or run.status == TRAINING:
                    gone.append(self.folder(run_id))
        gone = [path for path in dict.fromkeys(gone) if path.is_dir()]
        size = sum(f.stat().st_size for path in gone for f in path.rglob("*") if f.is_file())
        for path in gone:
            shutil.rmtree(path)
        return [path.name for path in gone], size


def _write_manifest(folder: Path, status: str, names: list[str] | tuple[str, ...]) -> None:
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in names}
    write_atomic(folder / MANIFEST, json.dumps({"status": status, "files": files}, indent=2) + "\n")


def _read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, every file checked against it.  Raises Corrupt naming the first file that differs."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()}
        complete = manifest["status"] == TRAINING or all(name in listed for name in FINAL)
        if manifest["status"] not in (TRAINING, COMPLETE, DIVERGED) or not complete or "spec.json" not in listed:
            raise ValueError("unknown status or incomplete list")
    except FileNotFoundError:
        raise Corrupt(f"run {folder.name}: {MANIFEST} is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"run {folder.name}: {MANIFEST} is damaged") from error
    for name, (size, digest) in listed.items():
        path = folder / name
        if not path.is_file():
            raise Corrupt(f"run {folder.name}: {name} is missing")
        if path.stat().st_size != size or sha256(path) != digest:
            raise Corrupt(f"run {folder.name}: {name} does not match its checksum")
    return manifest


def _remove_unlisted(folder: Path) -> None:
    """Older checkpoints and the temporary files of killed processes."""
    listed = {MANIFEST, *json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]}
    for path in folder.iterdir():
        if path.name not in listed:
            path.unlink()
