"""The file of a sweep: families x corpora x seeds with what is changed, as TOML.

    scale = "smoke"
    families = ["vae", "ceae"]          # or "all"
    corpora = ["oracle"]
    seeds = [1, 2, 3]                   # or "1-10"
    set = { precision = "fp32" }        # for all

    [[more]]                            # rows beside them, which take what they do not say from above
    family = "beta-vae"
    set = { beta = 0.5 }
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.scales import scale
from ceae_core.spec import RunSpec, resolve

KEYS = {"scale": str, "families": (list, str), "corpora": list, "seeds": (list, str), "set": dict, "more": list}
ROW_KEYS = {"family": str, "corpora": list, "seeds": (list, str), "set": dict}


@dataclass(frozen=True)
class Row:
    """One family with what is changed, on every corpus with every seed."""

    family: str
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One run of a sweep: its spec, and what `ceae train` is given to come to it."""

    spec: RunSpec
    arguments: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.spec.id


def jobs(path: Path | str, data: str | None = None) -> list[Job]:
    """The runs of the sweep file, each once, seeds interleaved: all rows with the first seed, then with the next.

    `data` is the folder of the corpora.  Raises CeaeError that names the file and the field for what is unknown, of
    another kind, empty or no option of a family, and for a corpus that is not there.
    """
    path = Path(path)
    size, rows = read(path)
    first: dict[tuple[int, str], RunSpec] = {}          # seeds change nothing else, and to resolve reads the corpus
    for place, row in enumerate(rows):
        for corpus in row.corpora:
            try:
                first[place, corpus] = resolve(row.family, corpus, size, row.seeds[0], set=row.changes, data=data)
            except CeaeError as error:
                raise CeaeError(f"{path}: {row.family} on {corpus}: {error}") from error
    found: dict[str, Job] = {}
    for turn in range(max(len(row.seeds) for row in rows)):
        for (place, corpus), spec in first.items():
            row = rows[place]
            if turn < len(row.seeds):
                seed = row.seeds[turn]
                job = Job(replace(spec, seed=seed), _arguments(row, corpus, size, seed, data))
                found.setdefault(job.id, job)
    return list(found.values())


def read(path: Path) -> tuple[str, list[Row]]:
    """Scale and rows of a sweep file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CeaeError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CeaeError(f"{path}: is no TOML ({error})") from error
    _check(path, "", content, KEYS)
    size = content.get("scale", "quick")
    try:
        scale(size)
    except CeaeError as error:
        raise CeaeError(f"{path}: {error}") from error
    families = content.get("families", [])
    if isinstance(families, str):
        if families != "all":
            raise CeaeError(f"{path}: families: {families!r} is neither a list of families nor \"all\"")
        families = list(zoo.FAMILIES)
    above = {"corpora": content.get("corpora", ["oracle"]), "seeds": content.get("seeds", [1])}
    common = content.get("set", {})
    rows = [_row(path, f"families[{i}]", {"family": name, **above, "set": common}) for i, name in enumerate(families)]
    for i, more in enumerate(content.get("more", [])):
        where = f"more[{i}]"
        if not isinstance(more, dict):
            raise CeaeError(f"{path}: {where}: must be a table, not {more!r}")
        _check(path, f"{where}.", more, ROW_KEYS)
        if "family" not in more:
            raise CeaeError(f"{path}: {where}: family is missing")
        rows.append(_row(path, where, above | more | {"set": common | more.get("set", {})}))
    if not rows:
        raise CeaeError(f"{path}: families: there is none, and no [[more]]; name at least one")
    return size, rows


def _check(path: Path, where: str, content: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if name not in keys:
            raise CeaeError(f"{path}: {where}{name}: there is no such field; it has {', '.join(keys)}")
        if not isinstance(value, keys[name]):
            kinds = {str: "text", list: "a list", dict: "a table"}
            wanted = keys[name] if isinstance(keys[name], tuple) else (keys[name],)
            raise CeaeError(f"{path}: {where}{name}: must be {' or '.join(kinds[k] for k in wanted)}, not {value!r}")


def _row(path: Path, where: str, content: Mapping[str, Any]) -> Row:
    name = content["family"]
    if not isinstance(name, str) or name not in zoo.FAMILIES:
        raise CeaeError(f"{path}: {where}: there is no family {name!r}; `ceae zoo` lists those there are")
    corpora = content["corpora"]
    if not corpora or not all(isinstance(corpus, str) for corpus in corpora):
        raise CeaeError(f"{path}: corpora: must be names of corpora or paths, at least one, not {corpora!r}")
    return Row(name, tuple(corpora), _seeds(path, content["seeds"]), dict(content["set"]))


def _seeds(path: Path, given: Sequence[int] | str) -> tuple[int, ...]:
    """[1, 2, 3] or "1-3"."""
    if isinstance(given, str):
        first, dash, last = given.partition("-")
        if not (dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            raise CeaeError(f"{path}: seeds: {given!r} is no span such as \"1-10\"")
        return tuple(range(int(first), int(last) + 1))
    if not given or not all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in given):
        raise CeaeError(f"{path}: seeds: must be whole numbers from 0 on, at least one, not {given!r}")
    return tuple(dict.fromkeys(given))


def _arguments(row: Row, corpus: str, size: str, seed: int, data: str | None) -> tuple[str, ...]:
    changes = [f"{name}={_text(value)}" for name, value in row.changes.items()]
    return ("train", row.family, "--corpus", corpus, "--scale", size, "--seed", str(seed),
            *(["--data", data] if data else []), *(["--set", *changes] if changes else []))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
