"""`ceae zoo` and `ceae data`: what there is to train, and on what."""

import argparse

from ceae_core.cli.output import show, table
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError


def add(command: Command) -> None:
    """Put these commands into the parser."""
    command("zoo", zoo, "list the families: citation, rows of the papers' tables, options")
    made = command("data", data, "list the corpora, or fetch one")
    made.add_argument("action", nargs="?", choices=("list", "fetch"), default="list")
    made.add_argument("name", nargs="?", help="corpus to fetch")
    made.add_argument("--data", metavar="DIR", help="folder of corpora (default: $CEAE_DATA)")


def zoo(options: argparse.Namespace) -> None:
    """Every family with its options and the published rows that it makes."""
    from ceae_core.zoo import FAMILIES
    result = {name: {"title": row.title, "cite": list(row.cite), "options": row.defaults(),
                     "settings": dict(row.settings),
                     "paper_rows": {key: dict(value) for key, value in row.rows.items()}}
              for name, row in FAMILIES.items()}
    lines, width = [], max(map(len, FAMILIES))
    for name, row in FAMILIES.items():
        lines.append(f"{name:{width}} {row.title} [{', '.join(row.cite)}]")
        known = ", ".join(f"{k}={v}".lower() for k, v in row.defaults().items())
        lines.append(f"{'':{width}} options: {known or 'none'}")
        rows = [key.rstrip(":") + (f"  ({' '.join(f'--set {k}={v}' for k, v in change.items())})" if change else "")
                for key, change in row.rows.items()]
        lines += [f"{'':{width}} {'rows:   ' if i == 0 else '        '} {text}" for i, text in enumerate(rows)]
    show(options, {"families": result}, lines)


def data(options: argparse.Namespace) -> None:
    """The corpora, or one fetched from where it is public."""
    from ceae_core import corpora
    if options.action == "fetch":
        if not options.name:
            raise CeaeError("data fetch: name the corpus, for example `ceae data fetch ptb`")
        path = corpora.fetch(options.name, options.data)
        return show(options, {"corpus": options.name, "folder": str(path)}, [f"{options.name}: complete in {path}"])
    rows = corpora.describe(options.data)
    return show(options, {"corpora": rows}, _corpora(rows))


def _corpora(rows: list[dict]) -> list[str]:
    short = [[row["name"], row["train"], row["valid"], row["test"],
              "here" if row["ready"] else f"{len(row['missing'])} missing", row["unknown"], row["labels"]]
             for row in rows]
    return [*table(["corpus", "train", "valid", "test", "files", "unknown", "labels"], short),
            "", "Licences and sources: ceae data list --json, or the chapter on corpora."]
