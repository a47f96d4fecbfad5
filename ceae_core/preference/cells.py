"""Cells that pass through a spreadsheet unharmed: none begins a formula, and what was written comes back."""

import hashlib
import json
from collections.abc import Sequence

# What makes spreadsheets compute a cell (with the full-width forms of the signs), and the mark that prevents it: a text
# that begins with the mark gets one more, so that taking one away restores every text.
MARK = "'"
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", MARK)


def safe(text: str) -> str:
    """The text as a cell."""
    return MARK + text if text.startswith(STARTS) else text


def plain(cell: str) -> str:
    """The text of a cell that `safe` made."""
    return cell.removeprefix(MARK)


def fingerprint(texts: Sequence[str]) -> str:
    """16 digits of the sha256 of texts in their order; line ends, which spreadsheets change, count as one kind."""
    same = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    return hashlib.sha256(json.dumps(same).encode()).hexdigest()[:16]


def columns(models: int) -> list[str]:
    """Header of the sheet, and of the answers, which are a sheet whose column `choice` is filled in."""
    return ["sheet", "item", "rater", "choice", *(f"candidate {place}" for place in range(1, models + 1))]
