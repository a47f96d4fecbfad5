"""What the two papers print, cell by cell: one CSV file per table, taken from their text; nothing here is measured.

A row of a table has the key "paper:table:model:variant" (the zoo's `rows` use it); a cell is (row, dataset, metric).
The papers do not state the unit of Rec, -ELBO, KL and MI; nats per sentence follows from PPL = exp(-ELBO / tokens).
"""

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas

from ceae_core.errors import CeaeError

FOLDER = Path(__file__).resolve().parent
COLUMNS = ("paper", "table", "dataset", "architecture", "model", "variant", "metric", "value", "std", "ci_low",
           "ci_high", "bold", "starred", "unit", "direction")
CITATIONS = {
    "ceae": "Ghose and Poupart (2023), Contrastive Deterministic Autoencoders For Language Modeling",
    "clvm": "Teng et al. (2022), Contrastive Latent Variable Models for Neural Text Generation",
}
IDENTITY = ["row", "dataset", "metric"]


class Published(NamedTuple):
    """One printed cell."""

    value: float
    unit: str               # nats/sentence, perplexity, percent, units
    direction: str          # "min" or "max": which way the paper reads the metric
    bold: bool              # the paper's mark of its best
    citation: str


def tables() -> list[tuple[str, int]]:
    """(paper, number) of every table there is."""
    names = sorted(path.stem for path in FOLDER.glob("*_table*.csv"))
    return [(name.split("_")[0], int(name.split("_")[1].removeprefix("table"))) for name in names]


@cache
def load(paper: str, table: int) -> pandas.DataFrame:
    """The cells of a table in printed order, with their key in the column `row`.

    Raises CeaeError when there is no such table, or when its file does not have the form described above.
    """
    paths = list(FOLDER.glob(f"{paper}_table{table:02d}_*.csv"))
    if len(paths) != 1:
        known = ", ".join(f"{p} {t}" for p, t in tables())
        raise CeaeError(f"published: there is no table {paper} {table}; known are {known}")
    frame = pandas.read_csv(paths[0], dtype={"variant": str, "model": str}, keep_default_na=False,
                            na_values={"value": [""], "std": [""], "ci_low": [""], "ci_high": [""]})
    if problem := _problem(frame):
        raise CeaeError(f"{paths[0]}: {problem}; restore it from version control")
    parts = (frame[name].astype(str) for name in ("paper", "table", "model", "variant"))
    frame["row"] = [":".join(key) for key in zip(*parts, strict=True)]
    if frame.duplicated(IDENTITY).any():
        twice = frame[frame.duplicated(IDENTITY)].iloc[0]
        raise CeaeError(f"{paths[0]}: {twice.row}, {twice.dataset}, {twice.metric} occurs twice; restore it")
    return frame


def _problem(frame: pandas.DataFrame) -> str | None:
    if tuple(frame.columns) != COLUMNS:
        return f"its columns are {', '.join(frame.columns)}, not {', '.join(COLUMNS)}"
    for name, valid in (("paper", list(CITATIONS)), ("direction", ["min", "max"]), ("bold", [0, 1]),
                        ("starred", [0, 1])):
        if not frame[name].isin(valid).all():
            return f"column {name} has {frame.loc[~frame[name].isin(valid), name].iloc[0]!r}"
    if frame["value"].dtype.kind not in "fi" or not frame["value"].map(math.isfinite).all():
        return "column value has cells that are not numbers"
    return None


def rows(paper: str, table: int) -> list[str]:
    """Keys of a table's rows, in printed order."""
    return list(dict.fromkeys(load(paper, table)["row"]))


def cell(row: str, dataset: str, metric: str) -> Published:
    """The printed cell.  Raises CeaeError naming the part of the key that the table does not have."""
    paper, table = table_of(row)
    frame = load(paper, table)
    for name, wanted in zip(IDENTITY, (row, dataset, metric), strict=True):
        if wanted not in set(frame[name]):
            known = ", ".join(dict.fromkeys(frame[name]))
            raise CeaeError(f"published: {paper} table {table} has no {name} {wanted!r}; it has {known}")
        frame = frame[frame[name] == wanted]
    found = frame.iloc[0]
    return Published(float(found["value"]), found["unit"], found["direction"], bool(found["bold"]),
                     f"{CITATIONS[paper]}, Table {table}")


def title(row: str) -> str:
    """How a page calls the row of a key: the model, its variant in brackets."""
    _, _, model, variant = row.split(":")
    return f"{model} ({variant.replace('_', ' ').replace('=', ' ')})" if variant else model


def table_of(row: str) -> tuple[str, int]:
    """Paper and table number that a row's key names.  Raises CeaeError for a malformed key."""
    parts = row.split(":")
    if len(parts) != 4 or parts[0] not in CITATIONS or not parts[1].isdigit():
        raise CeaeError(f"published: {row!r} is not of the form paper:table:model:variant")
    return parts[0], int(parts[1])
