"""Shared by the tests of steps."""

from collections.abc import Callable

import pytest

from ceae_core.training import Training


@pytest.fixture(scope="session")
def advance() -> Callable[[Training, int], Training]:
    """advance(training, steps): so many steps, with what happens at the end of an epoch."""
    def moved_on(training: Training, steps: int) -> Training:
        for _ in range(steps):
            training._one_step()
            if training.position == len(training.batches):
                training._end_epoch()
        return training
    return moved_on
