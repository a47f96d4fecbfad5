"""Named random streams: every draw depends on (seed, purpose, counters) and never on what was drawn before.

A step seeds itself from its own number, so a resumed training needs no saved generator state and epoch k draws the
same numbers whether or not the process was restarted before it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for the stream named `purpose` of the run seed `seed`."""
    text = "\0".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Inside the block torch draws from the named stream; afterwards the caller's random state is as it was."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(derive(seed, *purpose))
        yield
