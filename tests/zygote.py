"""A process with everything imported that forks one child per `ceae` command: not a test, started by test_resume.

Reads requests, one JSON object a line, and answers each with one line:
    {"start": arguments, "hook": {...} or null, "out": path, "err": path}  ->  pid
    {"wait": pid}  ->  exit status, -9 after a SIGKILL
A hook {"at": "module:name", "call": n, "signal": s} sends the child the signal s right before the n-th call (from 0) of
a function or method; {"at": ..., "call": n, "pause": path} makes it wait there until the file `path` is gone.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path

import torch

from ceae_core import cli, execute, training


def install(at: str, call: int, signal: int | None = None, pause: str | None = None) -> None:
    module, _, name = at.partition(":")
    owner = importlib.import_module(module)
    *parents, name = name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original, calls = getattr(owner, name), iter(range(10**9))

    def hooked(*arguments, **options):
        if next(calls) == call:
            if pause:
                Path(pause).write_text("here")
                while Path(pause).exists():
                    time.sleep(0.01)
            else:
                os.kill(os.getpid(), signal)
        return original(*arguments, **options)

    setattr(owner, name, hooked)


def start(arguments: list[str], hook: dict | None, out: str, err: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        for descriptor, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        if hook:
            install(**hook)
        status = cli.main(arguments)
        sys.stdout.flush()
    except BaseException as error:                  # a child never returns into the loop below
        print(f"UNCAUGHT {error!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


if __name__ == "__main__":
    assert execute and training
    torch.optim.SGD([torch.zeros(1)], 1.0)          # what torch imports only now, it need not import in every child
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        else:
            answer = start(request["start"], request["hook"], request["out"], request["err"])
        print(answer, flush=True)
