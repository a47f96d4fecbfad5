"""Reading CSV files that people saved from a spreadsheet."""

import csv
import io
from pathlib import Path

from ceae_core.errors import CeaeError

DELIMITERS = ",;\t"         # what spreadsheets write, by the language they are set to

Row = tuple[int, dict[str, str]]        # line of the file on which it ends, cells by column


def read(path: Path) -> tuple[list[str], list[Row]]:
    """Header and rows; empty lines are left out.

    Raises CeaeError for a file that is missing, empty, not UTF-8, or whose rows are not whole.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CeaeError(f"{path}: is not UTF-8 (byte {error.start + 1}); save it as “CSV UTF-8”") from error
    except OSError as error:
        raise CeaeError(f"{path}: cannot be read ({error.strerror}); name a CSV file") from error
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise CeaeError(f"{path}, line {reader.line_num}: is not CSV ({error}); save it as CSV again") from error
    if not lines:
        raise CeaeError(f"{path}: is empty; save it again")
    header = [name.strip() for name in lines[0][1]]
    if len(set(header)) < len(header):
        raise CeaeError(f"{path}: two columns have the same name; its columns are {', '.join(header)}")
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise CeaeError(f"{path}, line {number}: has {len(row)} cells, the header {len(header)}; repair the row")
    return header, [(number, dict(zip(header, row, strict=True))) for number, row in lines[1:]]
