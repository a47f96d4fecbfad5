"""Where the book's files are: sources, executed copies, vendored assets."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ceae_core.errors import CeaeError

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Book:
    """A checkout of the book; `root` holds `_toc.yml`, `_config.yml`, `book/` and `ceae_core/`."""

    root: Path

    @property
    def sources(self) -> Path:
        return self.root / "book"

    @property
    def build(self) -> Path:
        return self.root / "_build"

    def source(self, chapter: str) -> Path:
        return self.sources / f"{chapter}.ipynb"

    def executed(self, parameters: Parameters) -> Path:
        """Folder of the copies executed with `parameters`: each set of values has its own, none overwrites another."""
        return self.build / "executed" / _folder_name(parameters)

    def chapters(self) -> list[str]:
        """Names of the notebooks in the order of `_toc.yml`; raises CeaeError for a listed chapter without a file."""
        import yaml

        path = self.root / "_toc.yml"
        try:
            toc = yaml.safe_load(path.read_text(encoding="utf-8"))
            names = [toc["root"], *_files(toc)]
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise CeaeError(f"{path}: not a table of contents of format jb-book ({error!r})") from error
        for name in names:
            if not any((self.sources / f"{name}{suffix}").is_file() for suffix in (".ipynb", ".md")):
                raise CeaeError(f"{path}: lists `{name}`, but book/{name}.ipynb does not exist; add it or take it out")
        return [name for name in names if self.source(name).is_file()]


def here() -> Book:
    """The book that this package belongs to; raises CeaeError when the package was installed without the book."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "_toc.yml").is_file():
        raise CeaeError(f"no book beside the package ({root}/_toc.yml is missing); work in a clone of the repository")
    return Book(root)


def _files(entry: Mapping[str, Any]) -> list[str]:
    """Documents below one entry of the table of contents, depth first."""
    names = []
    for key in ("parts", "chapters", "sections"):
        for child in entry.get(key) or []:
            names += [child["file"]] if "file" in child else []
            names += _files(child)
    return names


def _folder_name(parameters: Parameters) -> str:
    """`default`, `scale=smoke`, `corpus=ptb,seed=1`; values that make no file name are replaced by a hash."""
    if not parameters:
        return "default"
    name = ",".join(f"{key}={_compact(parameters[key])}" for key in sorted(parameters))
    if len(name) <= 80 and re.fullmatch(r"[\w=,.+\[\]-]+", name):
        return name
    return "set-" + hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:16]


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
