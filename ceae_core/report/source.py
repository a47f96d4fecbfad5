"""The real lines of the code on a page: read from the module at build time, never copied into a chapter."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

import ceae_core
from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.report.tables import Table

PACKAGE = Path(ceae_core.__file__).resolve().parent
MARK = re.compile(r"# DEVIATION\((\w+):([^)]+)\):\s*(.*)")
PAPERS = {"ceae": "CEAE", "clvm": "CLVM"}


@dataclass(frozen=True)
class Source:
    """Lines of a file, highlighted by the page's own style sheet."""

    text: str
    path: str               # from the root of the repository
    first: int              # number of the first line

    def __repr__(self) -> str:
        return f"# {self.where}\n{self.text}"

    @property
    def where(self) -> str:
        return f"{self.path}, lines {self.first}–{self.first + self.text.rstrip().count(chr(10))}"

    def _repr_html_(self) -> str:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer
        code = highlight(self.text, PythonLexer(), HtmlFormatter(nowrap=True))
        return (f'<div class="ceae-source"><p>{escape(self.where)}</p><div class="highlight-python notranslate">'
                f'<div class="highlight"><pre>{code}</pre></div></div></div>')


def show_source(thing: Callable | type | ModuleType) -> Source:
    """The definition of a function, class or method of this package.  Raises CeaeError for anything else."""
    try:
        thing = inspect.unwrap(thing)
        path = Path(inspect.getsourcefile(thing)).resolve()
        lines, first = inspect.getsourcelines(thing)
    except (TypeError, OSError) as error:
        raise CeaeError(f"show_source: {thing!r} has no source to show ({error})") from None
    return Source(textwrap.dedent("".join(lines)).rstrip() + "\n", _named(path), max(first, 1))


def show_family(name: str) -> Source:
    """The row of a family in the zoo.  Raises CeaeError when there is none of that name."""
    zoo.family(name)
    path = Path(zoo.__file__).resolve()
    text = path.read_text(encoding="utf-8")
    targets = {t.id: node for node in ast.parse(text).body for t in _targets(node)}
    table = targets["FAMILIES"].value
    index = [key.value for key in table.keys].index(name)
    key, value = table.keys[index], table.values[index]
    first, last = (targets[value.id].lineno, targets[value.id].end_lineno) if isinstance(value, ast.Name) else (
        key.lineno, value.end_lineno)
    lines = "\n".join(text.splitlines()[first - 1:last])
    return Source(textwrap.dedent(lines) + "\n", _named(path), first)


def _targets(node: ast.stmt) -> list[ast.Name]:
    found: list[Any] = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [t for t in found if isinstance(t, ast.Name)]


def _named(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix() if path.is_relative_to(PACKAGE) else path.name


def deviations() -> Table:
    """Every place where this code departs from a paper or had to read it one way: the DEVIATION comments themselves."""
    rows = []
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for i, line in enumerate(lines):
            if (found := MARK.search(line)) and line.lstrip().startswith("# DEVIATION("):
                paper, place, text = found.groups()
                more = []
                for following in lines[i + 1:]:
                    if not following.strip().startswith("# ") or MARK.search(following):
                        break
                    more.append(following.strip().removeprefix("# "))
                rows.append({"paper": f"{PAPERS.get(paper, paper)}, sec. {place}",
                             "what we do": " ".join([text, *more]),
                             "where": f"{_named(path)}:{i + 1}"})
    return Table(sorted(rows, key=lambda row: (row["paper"], row["where"])),
                 "Where the code departs from the papers, or had to choose a reading", name="deviations")
