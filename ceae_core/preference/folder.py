"""A sheet as a folder: `sheet.csv` and `form.html` for the raters, `key.json` for whoever counts."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from ceae_core.errors import CeaeError
from ceae_core.files import make_folder, write_atomic
from ceae_core.preference import csvfile, form
from ceae_core.preference.cells import columns, fingerprint, plain, safe
from ceae_core.preference.sheet import FORMAT, Item, Sheet, identify

SHEET, FORM, KEY = "sheet.csv", "form.html", "key.json"


def to_csv(sheet: Sheet, choices: Mapping[int, int | None] | None = None, rater: str = "") -> str:
    """The sheet as CSV, with choices (item number -> position counted from 0) filled in where there are any."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns(len(sheet.models)))
    for item in sheet.items:
        chosen = (choices or {}).get(item.number)
        writer.writerow([sheet.id, item.number, safe(rater), "" if chosen is None else chosen + 1,
                         *map(safe, item.texts)])
    return "\ufeff" + out.getvalue()                # by the mark spreadsheets know that it is UTF-8


def key_text(sheet: Sheet) -> str:
    """The key as JSON, with the id that follows from it."""
    return json.dumps({"sheet": sheet.id, **sheet.key()}, indent=1, ensure_ascii=False) + "\n"


def write(sheet: Sheet, folder: Path) -> list[str]:
    """Write the files that are not there yet, the key last; returns their names.

    A folder that holds the same sheet keeps what it has, answers filled into its `sheet.csv` too.  Raises CeaeError
    when it holds another sheet, or files of these names without a key.
    """
    make_folder(folder)
    if (folder / KEY).exists():
        there = _read_key(folder / KEY)["sheet"]
        if there != sheet.id:
            raise CeaeError(f"{folder}: holds another sheet ({there}, not {sheet.id}); choose another folder, or "
                            "repeat its own parameters")
    elif strange := [name for name in (SHEET, FORM) if (folder / name).exists()]:
        raise CeaeError(f"{folder / strange[0]}: is there without {KEY}, so nobody knows what it holds; choose another "
                        "folder")
    contents = {SHEET: to_csv(sheet), FORM: form.page(sheet), KEY: key_text(sheet)}
    missing = [name for name in contents if not (folder / name).exists()]
    for name in missing:
        write_atomic(folder / name, contents[name])
    return missing


def load(folder: Path) -> Sheet:
    """The sheet of a folder.  Raises CeaeError for a key or a sheet that is missing, damaged or edited."""
    key = _read_key(folder / KEY)
    wanted = columns(len(key["models"]))
    header, rows = csvfile.read(folder / SHEET)
    if sorted(header) != sorted(wanted):
        raise CeaeError(f"{folder / SHEET}: its columns are not {', '.join(wanted)}; move it away and repeat `ceae "
                        "sheet make` to restore it")
    texts = {row["item"].strip(): tuple(plain(row[name]) for name in wanted[4:]) for _, row in rows}
    items = []
    for entry in key["items"]:
        found = texts.get(str(entry["item"]))
        if found is None or fingerprint(found) != entry["sha256"]:
            what = "is missing" if found is None else "was edited"
            raise CeaeError(f"{folder / SHEET}: item {entry['item']} {what}; move the file away and repeat `ceae sheet "
                            "make` to restore it")
        items.append(Item(entry["item"], tuple(entry["order"]), found))
    models = [entry["name"] for entry in key["models"]]
    return Sheet(tuple(models), tuple(entry["run"] for entry in key["models"]), key["seed"], tuple(items), key["made"])


def _read_key(path: Path) -> dict:
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
        models = list(range(len(key["models"])))
        if key["format"] != FORMAT:
            raise ValueError(f"format {key['format']}, this version reads {FORMAT}")
        if not key["items"] or any(sorted(entry["order"]) != models for entry in key["items"]):
            raise ValueError("an order that is no permutation of the models")
        if identify({name: value for name, value in key.items() if name != "sheet"}) != key["sheet"]:
            raise ValueError("its content does not fit the id of the sheet")
    except FileNotFoundError:
        raise CeaeError(f"{path.parent}: there is no sheet here ({path.name} is missing); make one by `ceae sheet "
                        "make`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CeaeError(f"{path}: not the key of a sheet ({error}); restore it, or make the sheet again elsewhere"
                        ) from error
    return key
