"""Word edit distance."""

import random

import pytest

from ceae_core.measure.words import edit_distance


@pytest.mark.parametrize("made, original, edits", [
    ("", "a b", 2), ("a b", "", 2), ("a b c", "a c", 1), ("x b c", "a b c", 1), ("b a", "a b", 2)])
def test_edit_distance(made, original, edits):
    assert edit_distance(made.split(), original.split()) == edits


def test_it_is_a_metric() -> None:
    """Symmetric, zero for equal sentences alone, and no way round is shorter."""
    draw = random.Random(0)
    for _ in range(200):
        a, b, c = ([draw.choice("xyz") for _ in range(draw.randrange(6))] for _ in range(3))
        assert edit_distance(a, b) == edit_distance(b, a)
        assert (edit_distance(a, b) == 0) == (a == b)
        assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
