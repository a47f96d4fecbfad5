"""The runner's record: what was executed when, for how long, with which runs.  One JSON file per set of parameters."""

import json
from pathlib import Path
from typing import Any

from ceae_core.files import make_folder, write_atomic

FILE = "record.json"
VARIABLE = "CEAE_BOOK_RECORD"      # tells a chapter where the record is


def read(folder: Path) -> dict[str, Any]:
    """The record of a folder of executed copies; empty when there is none or it cannot be read."""
    try:
        record = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return record if isinstance(record.get("chapters"), dict) else {"chapters": {}}
    except (OSError, ValueError, AttributeError):
        return {"chapters": {}}


def write(folder: Path, record: dict[str, Any]) -> None:
    write_atomic(make_folder(folder) / FILE, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file with one per line; a line cut off by a kill is left out."""
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        entries += [entry] if isinstance(entry, dict) else []
    return entries
