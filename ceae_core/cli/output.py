"""What commands print: JSON or lines on stdout."""

import argparse
import json
from pathlib import Path
from typing import Any

from ceae_core.errors import CeaeError


def show(options: argparse.Namespace, result: dict[str, Any], lines: list[str]) -> None:
    """The result as one JSON object where that was asked for, else the lines for people."""
    print(json.dumps(result) if options.json else "\n".join(lines))


def save(path: str, content: str, option: str) -> None:
    """Write a text where the user asked for it; `option` is how they did.  Raises CeaeError when that is impossible."""
    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise CeaeError(f"{option} {path}: cannot be written ({error.strerror}); choose another file") from error


def table(header: list[str], rows: list[list[Any]]) -> list[str]:
    """Plain aligned columns."""
    texts = [header, *([text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[k]) for row in texts) for k in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]


def text(cell: Any) -> str:
    """One cell; a dash for what there is not."""
    return "–" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def metrics(values: dict[str, Any]) -> list[str]:
    """One line for each measure."""
    return [f"  {name:26} {text(value)}" for name, value in values.items()]
