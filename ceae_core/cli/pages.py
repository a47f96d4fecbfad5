"""`ceae book` and `ceae report`: the chapters, and what they come to."""

import argparse

from ceae_core.cli.output import save, show
from ceae_core.cli.parser import Command


def add(command: Command) -> None:
    """Put these commands into the parser."""
    made = command("book", book, "run the chapters of the book that changed; the rest of the line goes to the runner",
                   add_help=False)
    made.add_argument("arguments", nargs=argparse.REMAINDER)
    made = command("report", report, "what came of every table and figure of both papers, from the recorded results")
    made.add_argument("--csv", metavar="FILE", help="also write the table there")


def book(options: argparse.Namespace) -> int:
    """Execute chapters."""
    from ceae_core.book import chapters
    return chapters.main(options.arguments)


def report(options: argparse.Namespace) -> None:
    """Print the reproduction report."""
    from ceae_core.report import reproduction
    found = reproduction.report()
    if options.csv:
        save(options.csv, found.table().csv(), "--csv")
    show(options, {"items": [row.plain() for row in found.rows], "counts": found.counts()}, found.lines())
