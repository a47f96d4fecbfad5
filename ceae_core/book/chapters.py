"""Run the chapters of the book with papermill, in the order of `_toc.yml`, skipping those that are up to date.

    python -m ceae_core.book.chapters                          all chapters, at their default scale
    python -m ceae_core.book.chapters -p scale smoke           all, smaller
    python -m ceae_core.book.chapters training -p scale paper  one chapter

Executed copies go to `_build/executed/<parameters>/`; the sources are never written.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ceae_core.book import freshness, record
from ceae_core.book import parameters as given
from ceae_core.book.execution import execute
from ceae_core.book.layout import Book, Parameters, here
from ceae_core.book.statusline import clock
from ceae_core.errors import CeaeError

Say = Callable[[str], None]


def say(message: str) -> None:
    """One line for the person who waits."""
    print(message, file=sys.stderr, flush=True)


def run(book: Book, parameters: Parameters, names: Sequence[str] = (), *, force: bool = False,
        say: Say = say) -> list[str]:
    """Execute the stale ones among `names` (default: all chapters); returns the names of those executed.

    Raises CeaeError before anything runs for unknown chapters or parameters, and at the first chapter that fails.
    """
    chapters = _selected(book, names)
    values = given.assign(book, chapters, parameters, everywhere=bool(names))
    folder = book.executed(parameters)
    executed = []
    with locked(book, say):
        _forget_removed(book, folder)
        inputs = freshness.inputs_digest(book)
        for number, chapter in enumerate(chapters, 1):
            label = f"[{number}/{len(chapters)}] {chapter}"
            mark = freshness.fingerprint(book, chapter, values[chapter], inputs, record.read(folder))
            if not force and freshness.mark_of(folder / f"{chapter}.ipynb") == mark:
                say(f"{label}: up to date")
                continue
            seconds = _run_one(book, chapter, values[chapter], folder, mark, label)
            say(f"{label}: {clock(seconds)}")
            executed.append(chapter)
    return executed


def up_to_date(book: Book, parameters: Parameters) -> set[str]:
    """The chapters whose executed copy belongs to their present code, package and `parameters`."""
    folder, inputs = book.executed(parameters), freshness.inputs_digest(book)
    log, values = record.read(folder), given.assign(book, book.chapters(), parameters, everywhere=False)
    return {chapter for chapter in values if freshness.mark_of(folder / f"{chapter}.ipynb") ==
            freshness.fingerprint(book, chapter, values[chapter], inputs, log)}


@contextmanager
def locked(book: Book, say: Say = say) -> Iterator[None]:
    """Holds the build folder (re-entrant within this process); the system frees the lock when the process dies."""
    book.build.mkdir(exist_ok=True)
    lock = FileLock(book.build / ".lock", is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another build of this book is running; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _run_one(book: Book, chapter: str, values: Parameters, folder: Path, mark: str, label: str) -> float:
    def note(status: str, **more: Any) -> None:
        log = record.read(folder)
        log["chapters"][chapter] = {"status": status, "parameters": dict(values), **more}
        record.write(folder, log)

    began = time.monotonic()
    note("running")
    try:
        runs = execute(book, chapter, values, folder, mark, label)
    except CeaeError as error:
        note("failed", error=str(error))
        raise
    seconds = time.monotonic() - began
    note("done", seconds=round(seconds, 1), finished=datetime.now(UTC).isoformat(timespec="seconds"),
         fingerprint=mark, runs=runs)
    return seconds


def _selected(book: Book, names: Sequence[str]) -> list[str]:
    chapters = book.chapters()
    for name in names:
        if name not in chapters:
            raise CeaeError(f"no chapter `{name}`; the chapters are {', '.join(chapters)}")
    return [chapter for chapter in chapters if not names or chapter in names]


def _forget_removed(book: Book, folder: Path) -> None:
    log, chapters = record.read(folder), set(book.chapters())
    if set(log["chapters"]) - chapters:
        log["chapters"] = {name: entry for name, entry in log["chapters"].items() if name in chapters}
        record.write(folder, log)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command, for `ceae book` as well."""
    parser.add_argument("chapters", nargs="*", help="chapter names (default: all, in the order of _toc.yml)")
    parser.add_argument("--force", action="store_true", help="execute also what is up to date")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                        help=f"set a chapter parameter, as papermill does; {given.VARIABLE} holds more as JSON")


def command(arguments: argparse.Namespace) -> int:
    """Run the chapters as the command line says; returns the exit status.  Raises CeaeError."""
    run(here(), {**given.from_environment(), **dict(arguments.parameter)}, arguments.chapters, force=arguments.force)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ceae_core.book.chapters", description=__doc__.split("\n")[0])
    add_arguments(parser)
    signal.signal(signal.SIGTERM, signal.default_int_handler)      # ends kernels as Ctrl-C does
    try:
        return command(parser.parse_args(argv))
    except CeaeError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command continues with the chapter that was running")
        return 130


if __name__ == "__main__":
    sys.exit(main())
