"""MANIFEST.json: which files of a run's folder count, with their sizes and checksums, and how far the run is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ceae_core.errors import CeaeError
from ceae_core.files import sha256, write_atomic

MANIFEST = "MANIFEST.json"
FINAL = ("spec.json", "model.safetensors", "metrics.json", "history.jsonl", "samples.txt", "vocabulary.json")
TRAINING, COMPLETE, DIVERGED = "training", "complete", "diverged"


class Corrupt(CeaeError):
    """The files of a run, or of a critic, do not match its manifest."""


def write(folder: Path, status: str, names: Sequence[str]) -> None:
    """Make `names` the files that count."""
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in names}
    write_atomic(folder / MANIFEST, json.dumps({"status": status, "files": files}, indent=2) + "\n")


def read(folder: Path, final: Sequence[str] = FINAL, kind: str = "run") -> dict[str, Any]:
    """The manifest, every file checked against it; when complete it lists `final`.

    Raises Corrupt naming the first file that differs; `kind` is what its text calls the folder's content.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()}
        complete = manifest["status"] == TRAINING or all(name in listed for name in final)
        if manifest["status"] not in (TRAINING, COMPLETE, DIVERGED) or not complete or "spec.json" not in listed:
            raise ValueError("unknown status or incomplete list")
    except OSError as error:
        raise Corrupt(f"{kind} {folder.name}: {MANIFEST} is missing or no readable file") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"{kind} {folder.name}: {MANIFEST} is damaged") from error
    for name, (size, digest) in listed.items():
        path = folder / name
        if not path.is_file():
            raise Corrupt(f"{kind} {folder.name}: {name} is missing")
        if path.stat().st_size != size or sha256(path) != digest:
            raise Corrupt(f"{kind} {folder.name}: {name} does not match its checksum")
    return manifest


def content(folder: Path) -> bytes | None:
    """The manifest's bytes, None where there is none: different ones mean that a process has just replaced it."""
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError:
        return None


def has_begun(folder: Path) -> bool:
    """Whether there is more than what a process killed while it began the run leaves."""
    return folder.is_dir() and any(p.name != "spec.json" and not p.name.startswith(".") for p in folder.iterdir())


def remove_unlisted(folder: Path) -> None:
    """Older checkpoints and the temporary files of killed processes."""
    listed = {MANIFEST, *json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]}
    for path in folder.iterdir():
        if path.name not in listed and path.is_file():
            path.unlink()
