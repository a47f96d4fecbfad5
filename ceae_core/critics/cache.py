"""Fitted critics, kept: what is fitted to the same text with the same settings is fitted once.

    runs/critics/<id>/  spec.json  MANIFEST.json  state-<step>.pt         while it is being fitted
                        spec.json  MANIFEST.json  and the critic's own files

As with runs, MANIFEST.json is written last and names the files that count; nothing that differs from it is used.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ceae_core import manifest
from ceae_core.experiments import identity
from ceae_core.files import make_folder, write_atomic
from ceae_core.manifest import COMPLETE, TRAINING, Corrupt
from ceae_core.progress import say
from ceae_core.runs import Store, read_state

SPEC = "spec.json"


class Fitting:
    """A critic that is being fitted: where it stood when the process ended, and where that is noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, device: torch.device) -> dict | None:
        """The last checkpoint, None before the first.  Raises Corrupt for a file that is none."""
        return read_state(self.folder, manifest.read(self.folder, kind="critic")["files"], device)

    def save(self, state: Mapping[str, Any], step: int) -> None:
        """Note `state` (tensors, numbers, strings) in place of the last checkpoint."""
        Store(self.folder.parent).save_state(self.folder.name, dict(state), step)


def obtain(name: str, version: int, parameters: Mapping[str, Any], files: Sequence[str],
           fit: Callable[[Fitting], Mapping[str, bytes | str]], store: Store | None = None) -> Path:
    """The folder with the `files` of a fitted critic, verified; what is not there is fitted now.

    `parameters` are all that the critic depends on (plain values; of texts the hash), `version` that of the code that
    fits it.  `fit` returns the contents of the files by name; if it keeps checkpoints, it goes on from the last one
    after a kill.  A second process that wants the same critic waits for the first.  Damage is said and fitted again.
    """
    critics = Store((store or Store()).root / "critics")
    made = identity(name, version, parameters)
    folder = critics.folder(made)
    spec = {"id": made, "name": name, "version": version, "parameters": dict(parameters)}
    with critics.lease(made):
        try:
            if not _is_complete(folder, files):
                _fit(folder, spec, fit)
        except Corrupt as error:
            say(f"{error}; fitting it again")
            shutil.rmtree(folder)
            _fit(folder, spec, fit)
    return folder


def _is_complete(folder: Path, files: Sequence[str]) -> bool:
    return manifest.has_begun(folder) and manifest.read(folder, files, "critic")["status"] == COMPLETE


def _fit(folder: Path, spec: Mapping[str, Any], fit: Callable[[Fitting], Mapping[str, bytes | str]]) -> None:
    """Fit from the last checkpoint, or from the start, and write the files; the manifest, last, makes them count."""
    if not manifest.has_begun(make_folder(folder)):
        write_atomic(folder / SPEC, json.dumps(spec, indent=2) + "\n")
        manifest.write(folder, TRAINING, [SPEC])
    contents = fit(Fitting(folder))
    for name, content in contents.items():
        write_atomic(folder / name, content)
    manifest.write(folder, COMPLETE, [SPEC, *contents])
    manifest.remove_unlisted(folder)
