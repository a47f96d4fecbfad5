"""What the two papers print, cell by cell: one CSV file per table, taken from their text; nothing here is measured.

A row of a table has the key "paper:table:model:variant" (the zoo's `rows` use it); a cell is (row, dataset, metric).
Tables of sentences, settings stated in the running text and differences claimed there have files of their own form.
The papers do not state the unit of Rec, -ELBO, KL and MI; nats per sentence follows from PPL = exp(-ELBO / tokens).
"""

import math
import re
from collections.abc import Mapping
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
NUMBERS = ("value", "std", "ci_low", "ci_high")


class Published(NamedTuple):
    """One printed cell."""

    value: float
    unit: str               # nats/sentence, perplexity, percent, units, correlation
    direction: str          # "min" or "max": which way the paper reads the metric
    bold: bool              # the paper's mark of its best
    citation: str
    starred: bool = False   # the paper's mark of an insignificant difference


class Spread(NamedTuple):
    """One printed cell of a table of intervals."""

    std: float | None       # None: not printed
    low: float
    high: float
    bold: bool
    starred: bool
    citation: str


class Setting(NamedTuple):
    """One number of the running text."""

    value: float
    unit: str
    section: str
    note: str


class Form(NamedTuple):
    """What a file other than a table of cells must look like."""

    columns: tuple[str, ...]
    numbers: tuple[str, ...]        # columns with a number in every row
    identity: tuple[str, ...]       # columns that no two rows share


FORMS = {
    "intext_settings": Form(("paper", "section", "component", "quantity", "value", "unit", "note"), ("value",),
                            ("component", "quantity")),
    "intext_claimed_differences": Form(
        ("paper", "section", "dataset", "model", "baseline", "metric", "claimed_difference", "kind"),
        ("claimed_difference",), ("section", "dataset", "model", "metric")),
    "ceae_table06_interpolation": Form(
        ("paper", "table", "dataset", "architecture", "model", "pair", "row", "weight_on_first_source", "type", "text",
         "score"), ("row", "weight_on_first_source", "score"), ("pair", "row")),
    "clvm_table06_interpolation": Form(("paper", "table", "dataset", "model", "lambda", "text"), ("lambda",),
                                       ("lambda",)),
}


# tables of cells -----------------------------------------------------------------------------------------------------

def tables() -> list[tuple[str, int | str]]:
    """(paper, number) of every table of cells; "A.5" stands for the numbers in the text of that section."""
    found = []
    for path in sorted(FOLDER.glob("*.csv")):
        number = re.match(r"(ceae|clvm)_(?:table(\d\d)|intext_a(\d))_", path.stem)
        if number and _form(path) is None:
            found.append((number[1], int(number[2]) if number[2] else f"A.{number[3]}"))
    return found


@cache
def load(paper: str, table: int | str) -> pandas.DataFrame:
    """The cells of a table in printed order, with their key in the column `row`.

    Raises CeaeError when there is no such table, or when its file does not have the form described above.
    """
    part = f"table{table:02d}" if isinstance(table, int) else f"intext_{table.lower().replace('.', '')}"
    paths = [path for path in FOLDER.glob(f"{paper}_{part}_*.csv") if _form(path) is None]
    if len(paths) != 1:
        known = ", ".join(f"{p} {t}" for p, t in tables())
        raise CeaeError(f"published: there is no table {paper} {table}; known are {known}")
    frame = pandas.read_csv(paths[0], dtype={"variant": str, "model": str, "table": str}, keep_default_na=False,
                            na_values=dict.fromkeys(NUMBERS, [""]))
    if problem := _problem(frame, paper, table):
        raise CeaeError(f"{paths[0]}: {problem}; restore it from version control")
    parts = (frame[name].astype(str) for name in ("paper", "table", "model", "variant"))
    frame["row"] = [":".join(key) for key in zip(*parts, strict=True)]
    if frame.duplicated(IDENTITY).any():
        twice = frame[frame.duplicated(IDENTITY)].iloc[0]
        raise CeaeError(f"{paths[0]}: {twice.row}, {twice.dataset}, {twice.metric} occurs twice; restore it")
    return frame


def _problem(frame: pandas.DataFrame, paper: str, table: int | str) -> str | None:
    if tuple(frame.columns) != COLUMNS:
        return f"its columns are {', '.join(frame.columns)}, not {', '.join(COLUMNS)}"
    for name, valid in (("paper", [paper]), ("table", [str(table)]), ("direction", ["min", "max"]), ("bold", [0, 1]),
                        ("starred", [0, 1])):
        if not frame[name].isin(valid).all():
            return f"column {name} has {frame.loc[~frame[name].isin(valid), name].iloc[0]!r}"
    for name in NUMBERS:
        if frame[name].dtype.kind not in "fi" or frame[name].map(math.isinf).any():
            return f"column {name} has cells that are not numbers"
    is_interval = frame["ci_low"] < frame["ci_high"]
    if not (frame["value"].notna() ^ is_interval).all():
        return "there are cells with neither a value (which must be one of the numbers) nor an interval, or with both"
    return None


def rows(paper: str, table: int | str) -> list[str]:
    """Keys of a table's rows, in printed order."""
    return list(dict.fromkeys(load(paper, table)["row"]))


def cell(row: str, dataset: str, metric: str) -> Published:
    """The printed cell.  Raises CeaeError naming the part of the key that the table does not have."""
    found = _found(row, dataset, metric)
    if math.isnan(found["value"]):
        raise CeaeError(f"published: of {row}, {dataset}, {metric} only an interval is printed; ask for its spread")
    return Published(float(found["value"]), found["unit"], found["direction"], bool(found["bold"]), _source(row),
                     bool(found["starred"]))


def spread(row: str, dataset: str, metric: str) -> Spread:
    """The printed interval of a cell.  Raises CeaeError like `cell`, and for a table without intervals."""
    found = _found(row, dataset, metric)
    if math.isnan(found["ci_low"]):
        raise CeaeError(f"published: of {row}, {dataset}, {metric} no interval is printed; ask for the cell")
    return Spread(None if math.isnan(found["std"]) else float(found["std"]), float(found["ci_low"]),
                  float(found["ci_high"]), bool(found["bold"]), bool(found["starred"]), _source(row))


def _found(row: str, dataset: str, metric: str) -> pandas.Series:
    paper, table = table_of(row)
    frame = load(paper, table)
    for name, wanted in zip(IDENTITY, (row, dataset, metric), strict=True):
        if wanted not in set(frame[name]):
            known = ", ".join(dict.fromkeys(frame[name]))
            raise CeaeError(f"published: {paper} table {table} has no {name} {wanted!r}; it has {known}")
        frame = frame[frame[name] == wanted]
    return frame.iloc[0]


def _source(row: str) -> str:
    paper, table = table_of(row)
    return f"{CITATIONS[paper]}, {'Table' if isinstance(table, int) else 'section'} {table}"


def title(row: str) -> str:
    """How a page calls the row of a key: the model, its variant in brackets."""
    model, variant = model_and_variant(row).split(":")
    return f"{model} ({variant.replace('_', ' ').replace('=', ' ')})" if variant else model


def model_and_variant(row: str) -> str:
    """What the key of a row says behind paper and table: "model:variant", which is the same in every table."""
    return row.split(":", 2)[2]


def model_of(row: str) -> str:
    """The model that the key of a row names, without its variant."""
    return model_and_variant(row).split(":")[0]


def table_of(row: str) -> tuple[str, int | str]:
    """Paper and table number that a row's key names.  Raises CeaeError for a malformed key."""
    parts = row.split(":")
    if len(parts) != 4 or parts[0] not in CITATIONS or not re.fullmatch(r"\d+|A\.\d", parts[1]):
        raise CeaeError(f"published: {row!r} is not of the form paper:table:model:variant")
    return parts[0], int(parts[1]) if parts[1].isdigit() else parts[1]


# sentences, and numbers of the running text --------------------------------------------------------------------------

def _form(path: Path) -> Form | None:
    """The form of a file that is no table of cells."""
    return FORMS.get(path.stem) or FORMS.get(path.stem.partition("_")[2])


@cache
def _text(paper: str, part: str) -> pandas.DataFrame:
    """A file of another form than a table of cells, checked.  Raises CeaeError as `load` does."""
    path = FOLDER / f"{paper}_{part}.csv"
    if not path.is_file() or (form := _form(path)) is None:
        raise CeaeError(f"published: there is no {part.replace('_', ' ')} of {paper!r}")
    frame = pandas.read_csv(path, dtype={"note": str, "section": str}, keep_default_na=False)
    if tuple(frame.columns) != form.columns:
        problem = f"its columns are {', '.join(frame.columns)}, not {', '.join(form.columns)}"
    elif any(frame[name].dtype.kind not in "fi" for name in form.numbers):
        problem = f"not all of {', '.join(form.numbers)} are numbers"
    elif not (frame["paper"] == paper).all() or frame.duplicated(list(form.identity)).any():
        problem = f"a row is of another paper, or two rows share {' and '.join(form.identity)}"
    else:
        return frame
    raise CeaeError(f"{path}: {problem}; restore it from version control")


def sentences(paper: str) -> pandas.DataFrame:
    """The table of interpolated sentences of a paper (Table 6 of both), in printed order."""
    return _text(paper, "table06_interpolation")


def differences(paper: str) -> pandas.DataFrame:
    """Differences between two models that the text claims."""
    return _text(paper, "intext_claimed_differences")


def settings(paper: str) -> Mapping[tuple[str, str], Setting]:
    """(component, quantity) -> number stated in the running text."""
    return {(r.component, r.quantity): Setting(float(r.value), r.unit, r.section, r.note)
            for r in _text(paper, "intext_settings").itertuples()}


def setting(paper: str, component: str, quantity: str) -> Setting:
    """One number of the running text.  Raises CeaeError that lists what there is."""
    known = settings(paper)
    if (component, quantity) not in known:
        raise CeaeError(f"published: {paper} states no {component}, {quantity}; "
                        f"there are {'; '.join(', '.join(key) for key in known)}")
    return known[component, quantity]
