"""Chapter parameters: what a chapter declares, what the caller may set, and of which type."""

import ast
import json
import os
import re
from collections.abc import Iterable
from typing import Any

from ceae_core.book.layout import Book, Parameters
from ceae_core.errors import CeaeError

VARIABLE = "CEAE_BOOK_PARAMETERS"
SECRET = re.compile(r"(^|_)(api_?key|key|token|secret|password|passwd|pwd|credentials?|auth)(_|$)", re.IGNORECASE)
UNKNOWN = object()      # stands for a default that is no literal: its type cannot be checked


def from_environment() -> dict[str, Any]:
    """Parameters of the environment variable CEAE_BOOK_PARAMETERS (a JSON object), or none."""
    text = os.environ.get(VARIABLE, "")
    try:
        values = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise CeaeError(f'{VARIABLE} is not JSON ({error}); write for instance {{"scale": "smoke"}}') from error
    if not isinstance(values, dict):
        raise CeaeError(f'{VARIABLE} must be a JSON object such as {{"scale": "smoke"}}, not {text}')
    return values


def declared(book: Book, chapter: str) -> dict[str, Any]:
    """Name -> default of the cell tagged `parameters`; UNKNOWN where the default is not a literal."""
    import papermill

    found = papermill.inspect_notebook(str(book.source(chapter)))
    return {name: _literal(entry["default"]) for name, entry in found.items()}


def assign(book: Book, chapters: Iterable[str], values: Parameters, *, everywhere: bool) -> dict[str, dict[str, Any]]:
    """For each chapter, the values it takes, checked against its defaults; nothing has run yet.

    `everywhere`: every chapter must know every name (chapters named by the caller).  Otherwise at least one must, and
    a chapter receives those it declares.  Text from a command line is read as the type of the default.
    Raises CeaeError for unknown names, wrong types, and names that look like secrets (papermill stores all values).
    """
    for name in values:
        if SECRET.search(name):
            raise CeaeError(f"parameter `{name}` looks like a secret, and parameters are stored in the executed "
                            "notebooks; pass secrets by environment variable")
    if not values:
        return {chapter: {} for chapter in chapters}
    known = {chapter: declared(book, chapter) for chapter in chapters}
    for name in values:
        lacking = [chapter for chapter, names in known.items() if name not in names]
        if lacking and (everywhere or len(lacking) == len(known)):
            options = sorted(set().union(*known.values()))
            raise CeaeError(f"unknown parameter `{name}`: {_where(lacking, known)}; known are {', '.join(options)}")
    return {chapter: {name: _typed(chapter, name, value, defaults[name])
                      for name, value in values.items() if name in defaults}
            for chapter, defaults in known.items()}


def _where(lacking: list[str], known: dict) -> str:
    return "no chapter declares it" if len(lacking) == len(known) else f"{', '.join(lacking)} does not declare it"


def _literal(source: str) -> Any:
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError):
        return UNKNOWN


def _typed(chapter: str, name: str, value: Any, default: Any) -> Any:
    """`value` as the type of `default`; text is parsed unless text is wanted."""
    wants_text = isinstance(default, str)
    if isinstance(value, str) and not wants_text and default is not None:
        value = _parsed(value)
    if default is UNKNOWN or default is None:
        return value
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise CeaeError(f"{chapter}: parameter `{name}` must be {type(default).__name__} like {default!r}, "
                        f"not {value!r}")
    return value


def _parsed(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
