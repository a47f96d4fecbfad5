"""The parser of the `ceae` command: says what is wrong in one line, and gives every command the same two options."""

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from ceae_core import __version__

EXIT_USAGE = 2


class Command(Protocol):
    """Adds a command that `run` executes; returns its parser, to which the command's own arguments are added."""

    def __call__(self, name: str, run: Callable[[argparse.Namespace], int | None], summary: str | None,
                 **more: Any) -> argparse.ArgumentParser: ...


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"ceae: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def build(groups: list[Callable[[Command], None]]) -> argparse.ArgumentParser:
    """The parser with the commands of all `groups`, in their order.  A command without a summary is not listed."""
    parser = _Parser(prog="ceae", description="Train and measure text autoencoders of the ceae-book.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--runs", metavar="DIR", help="folder of runs (default: $CEAE_RUNS or runs/)")
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")

    def command(name: str, run: Callable, summary: str | None, **more: Any) -> argparse.ArgumentParser:
        listed = {"help": summary, "description": summary} if summary else {}
        made = commands.add_parser(name, parents=[common], **listed, **more)
        made.set_defaults(run=run)
        return made

    for add in groups:
        add(command)
    return parser
