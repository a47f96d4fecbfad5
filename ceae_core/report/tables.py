"""Tables for pages: every cell escaped, a caption, notes, and the CSV behind the table as a download link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from numbers import Real
from typing import Any
from urllib.parse import quote

MISSING = "–"
BLANK = "\u00a0"            # text of a cell about which its row has already said why it is empty
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")     # a spreadsheet would compute a text that begins so


@dataclass(frozen=True)
class Cell:
    """A value with how it is shown: `text` replaces the formatted value, `title` is its tooltip."""

    value: Any
    text: str = ""
    title: str = ""
    strong: bool = False
    html: str = ""              # shown instead of `text`; whoever makes it has escaped it


@dataclass(frozen=True)
class Table:
    """Rows (mappings with the same keys) that a notebook shows.  A column "group | name" gets a header of two lines.

    None is shown as a dash.  `digits` are decimals by column, else `places`.  `name` is that of the downloaded CSV.
    """

    rows: Sequence[Mapping[str, Any]]
    caption: str
    notes: Sequence[str] = ()
    name: str = ""
    places: int = 2
    digits: Mapping[str, int] | None = None

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0]) if self.rows else []

    def csv(self) -> str:
        """The table as CSV; texts that a spreadsheet would take for a formula start with an apostrophe."""
        import csv
        out = StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([_safe(column.replace(" | ", ": ")) for column in self.columns])
        writer.writerows([_safe(_cell(value).value) for value in row.values()] for row in self.rows)
        return out.getvalue()

    def __repr__(self) -> str:
        lines = [self.columns, *([self._text(c, row[c]) for c in self.columns] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        body = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([self.caption, *body, *self.notes])

    def _repr_html_(self) -> str:
        numeric = {c for c in self.columns if self._is_numeric(c)}
        body = "".join("<tr>" + "".join(self._html(c, row[c], c in numeric) for c in self.columns) + "</tr>"
                       for row in self.rows)
        if not self.rows:
            body = f"<tr><td>{MISSING}</td></tr>"
        return (f'<table class="dataframe ceae"><caption>{escape(self.caption)}</caption>{self._head(numeric)}'
                f"<tbody>{body}</tbody></table>{self._foot()}")

    def _is_numeric(self, column: str) -> bool:
        values = [v for v in (_cell(row[column]).value for row in self.rows) if v is not None]
        return bool(values) and all(isinstance(v, Real) and not isinstance(v, bool) for v in values)

    def _head(self, numeric: set[str]) -> str:
        if not self.rows:
            return ""
        split = [tuple(c.split(" | ", 1)) if " | " in c else ("", c) for c in self.columns]
        head = "".join(f'<th scope="col"{_align(c in numeric)}>{escape(name)}</th>'
                       for c, (_, name) in zip(self.columns, split, strict=True))
        groups: list[list] = []
        for group, _ in split:
            if groups and groups[-1][0] == group:
                groups[-1][1] += 1
            else:
                groups.append([group, 1])
        if len(groups) == 1 and not groups[0][0]:
            return f"<thead><tr>{head}</tr></thead>"
        first = "".join(f'<th scope="colgroup" colspan="{width}">{escape(group)}</th>' for group, width in groups)
        return f"<thead><tr>{first}</tr><tr>{head}</tr></thead>"

    def link(self) -> str:
        """A link that carries the CSV in itself, so that it works in a page read from disk."""
        data = quote("\ufeff" + self.csv())             # the mark tells spreadsheets that it is UTF-8
        return (f'<p><a download="{escape(self.name)}.csv" href="data:text/csv;charset=utf-8,{data}">'
                f"Download {escape(self.name)}.csv</a></p>")

    def _foot(self) -> str:
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes) + (self.link() if self.name else "")
        return f'<div class="ceae-notes">{notes}</div>' if notes else ""

    def _text(self, column: str, value: Any) -> str:
        cell = _cell(value)
        if cell.text or cell.value is None:
            return cell.text or MISSING
        if isinstance(cell.value, float):
            text = f"{cell.value:.{(self.digits or {}).get(column, self.places)}f}"
            return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")
        whole = isinstance(cell.value, int) and not isinstance(cell.value, bool)
        return f"{cell.value:,}" if whole else str(cell.value)

    def _html(self, column: str, value: Any, numeric: bool) -> str:
        cell = _cell(value)
        content = cell.html or escape(self._text(column, value))
        content = f"<strong>{content}</strong>" if cell.strong else content
        title = f' title="{escape(cell.title)}"' if cell.title else ""
        return f"<td{_align(numeric)}{title}>{content}</td>"


@dataclass(frozen=True)
class Download:
    """The numbers behind a figure: only the link to the CSV is shown."""

    table: Table

    def __repr__(self) -> str:
        return f"{self.table.name}.csv, {len(self.table.rows)} rows"

    def _repr_html_(self) -> str:
        return f'<div class="ceae-notes">{self.table.link()}</div>'


def _cell(value: Any) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


def _align(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _safe(value: Any) -> Any:
    """A cell of the CSV: numbers as they are, None as an empty cell, texts harmless in a spreadsheet."""
    if value is None or isinstance(value, Real):
        return "" if value is None else value
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
