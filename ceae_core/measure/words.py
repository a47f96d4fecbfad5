"""How far apart two sentences are, in words."""

from collections.abc import Sequence


def edit_distance(made: Sequence[str], original: Sequence[str]) -> int:
    """Levenshtein distance in words: the fewest words to change, add or leave out."""
    before = list(range(len(original) + 1))
    for i, word in enumerate(made, 1):
        now = [i]
        for j, true in enumerate(original, 1):
            now.append(min(before[j] + 1, now[-1] + 1, before[j - 1] + (word != true)))
        before = now
    return before[-1]
