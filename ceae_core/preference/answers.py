"""Answers of one or several raters to a sheet, read strictly: what does not fit is named, nothing is guessed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ceae_core.errors import CeaeError
from ceae_core.files import write_atomic
from ceae_core.preference import csvfile
from ceae_core.preference.cells import columns, fingerprint, plain
from ceae_core.preference.folder import to_csv
from ceae_core.preference.sheet import Sheet

NONE = -1                   # no answer
NAMED = 5                   # items that an error message names


@dataclass(frozen=True)
class Answers:
    """R raters on the N items of a sheet: `positions` (R, N) counted from 0, NONE where there is no answer."""

    sheet: Sheet
    raters: tuple[str, ...]
    positions: np.ndarray

    @cached_property
    def choices(self) -> np.ndarray:
        """(R, N) the model chosen, NONE where there is no answer."""
        rows = np.arange(len(self.sheet.items))
        return np.where(self.positions == NONE, NONE, self.sheet.orders[rows, self.positions])

    def counts(self) -> np.ndarray:
        """(K,) answers for each model."""
        return np.bincount(self.choices[self.choices != NONE], minlength=len(self.sheet.models))

    def position_counts(self) -> np.ndarray:
        """(K,) answers for each position."""
        return np.bincount(self.positions[self.positions != NONE], minlength=len(self.sheet.models))


class _Found(NamedTuple):
    path: Path
    line: int
    rater: str
    item: int
    position: int           # NONE: left open


def read(paths: Sequence[Path], sheet: Sheet, *, partial: bool = False) -> Answers:
    """The answers in files that `sheet.csv` or the form became.

    The rater is what the column `rater` says, else the name of the file.  Raises CeaeError for a file that does not
    fit the sheet (another sheet, unknown or repeated items, edited texts, impossible choices), for one rater who
    answers an item twice, and, unless `partial`, for items without an answer.
    """
    stems = [path.stem for path in paths]
    found = [row for path in paths
             for row in _rows(path, sheet, path.stem if stems.count(path.stem) == 1 else str(path))]
    seen: dict[tuple[str, int], _Found] = {}
    for row in found:
        before = seen.setdefault((row.rater, row.item), row)
        if before is not row:
            raise CeaeError(f"{row.path}, line {row.line}: {row.rater} answers item {row.item} a second time (first in "
                            f"{before.path}, line {before.line}); remove one of the rows, or name the raters apart")
    raters = tuple(dict.fromkeys(row.rater for row in found))
    positions = np.full((len(raters), len(sheet.items)), NONE)
    for row in found:
        positions[raters.index(row.rater), row.item - 1] = row.position
    if not partial:
        for rater, given in zip(raters, positions, strict=True):
            if len(missing := np.flatnonzero(given == NONE) + 1):
                more = ", …" if len(missing) > NAMED else ""
                raise CeaeError(f"{', '.join(sorted({str(r.path) for r in found if r.rater == rater}))}: {rater} has "
                                f"no answer to {len(missing)} of {len(sheet.items)} items "
                                f"({', '.join(map(str, missing[:NAMED]))}{more}); fill them in, or count what there is "
                                "by --partial")
    if (positions == NONE).all():
        raise CeaeError(f"{', '.join(map(str, paths))}: holds no answer at all; fill in the column `choice`")
    return Answers(sheet, raters, positions)


def write(given: Answers, where: Path) -> Path:
    """The answers of one rater as a file that `read` takes, named after the rater; returns the file."""
    (rater,), (positions,) = given.raters, given.positions
    path = where / f"answers-{re.sub(r'[^a-z0-9.]+', '-', rater.lower()).strip('-')}.csv"
    chosen = {item.number: int(place) for item, place in zip(given.sheet.items, positions, strict=True) if place >= 0}
    write_atomic(path, to_csv(given.sheet, chosen, rater))
    return path


def _rows(path: Path, sheet: Sheet, unnamed: str) -> list[_Found]:
    models = len(sheet.models)
    every, (header, rows) = columns(models), csvfile.read(path)
    candidates = every[4:]
    if (lacking := [name for name in every if name not in header and name != "rater"]) or set(header) - set(every):
        strange = [name for name in header if name not in every]
        said = [*([f"lacks {', '.join(lacking)}"] if lacking else []),
                *([f"has the unknown {', '.join(repr(name) for name in strange)}"] if strange else [])]
        raise CeaeError(f"{path}: {' and '.join(said)}; a sheet of answers has the columns {', '.join(every)}")
    out = []
    for line, row in rows:
        where = f"{path}, line {line}"
        if row["sheet"].strip() != sheet.id:
            raise CeaeError(f"{where}: belongs to sheet {row['sheet'].strip() or '(none)'}, not to {sheet.id}; score "
                            "it with its own sheet")
        number = _whole(row["item"])
        if number is None or not 1 <= number <= len(sheet.items):
            raise CeaeError(f"{where}: there is no item {row['item']!r}; items are 1 to {len(sheet.items)}")
        if fingerprint([plain(row[name]) for name in candidates]) != fingerprint(sheet.items[number - 1].texts):
            raise CeaeError(f"{where}: the candidates of item {number} are not those of the sheet, the row was edited; "
                            "put the original texts back")
        choice = _whole(row["choice"]) if row["choice"].strip() else 0
        if choice is None or not 0 <= choice <= models or choice == 0 and row["choice"].strip():
            raise CeaeError(f"{where}: item {number} has the choice {row['choice']!r}; choices are 1 to {models}")
        out.append(_Found(path, line, plain(row.get("rater", "").strip()) or unnamed, number, choice - 1))
    return out


def _whole(cell: str) -> int | None:
    """The whole number in a cell, also as spreadsheets may write it ("3.0"); None if there is none."""
    try:
        number = float(cell)
        return int(number) if number == int(number) else None
    except (ValueError, OverflowError):
        return None
