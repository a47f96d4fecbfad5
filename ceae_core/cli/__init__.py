"""The `ceae` command: thin, one clear line per error, progress on stderr, results on stdout."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ceae_core.cli import (
    agreement,
    critics,
    interpolating,
    judging,
    keeping,
    listing,
    pages,
    probing,
    running,
    sweeping,
)
from ceae_core.cli.parser import EXIT_USAGE, build
from ceae_core.errors import CeaeError

EXIT_PREEMPTED = 75


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 (diverged, damaged), 2 (bad input), 75 (stopped, resumable)."""
    groups = [listing.add, running.add, sweeping.add, critics.add, interpolating.add, probing.add, agreement.add,
              judging.add, keeping.add, pages.add]
    options = build(groups).parse_args(arguments)
    from ceae_core.training import Preempted
    try:
        with _sigterm_interrupts():
            status = options.run(options) or 0
            sys.stdout.flush()
            return status
    except CeaeError as error:
        print(f"ceae: {error}", file=sys.stderr)
        return EXIT_USAGE
    except Preempted as stopped:
        print(f"ceae: {stopped}; checkpoint written, repeat the command to continue", file=sys.stderr)
        return EXIT_PREEMPTED
    except KeyboardInterrupt:
        print("ceae: stopped", file=sys.stderr)
        return EXIT_PREEMPTED
    except BrokenPipeError:                             # the reader of stdout has left, as in `ceae runs list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"ceae: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        return EXIT_USAGE


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Inside the block SIGTERM does what Ctrl-C does; a training in its loop handles both itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
