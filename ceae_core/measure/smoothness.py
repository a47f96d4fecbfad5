"""How smooth a line of decoded sentences is: steps in words, and the course of a score along it.

A line has L points; the first has weight 0 on the first sentence, the last weight 1 (see `measure.interpolation`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ceae_core.measure.words import edit_distance

JUMP = 0.5          # a step is a jump when it goes more than this share of the way between the ends
TOLERANCE = 0.05    # a score may go back by so much between neighbours and still be called rising
Sentence = Sequence[str]


@dataclass(frozen=True)
class Course:
    """Edit distances in words along a line; ratios are None where both ends decode to one sentence."""

    steps: Sequence[int]            # (L - 1,) between neighbours
    from_start: Sequence[int]       # (L,) from the decoded sentence of weight 0
    from_end: Sequence[int]         # (L,) from that of weight 1
    distinct: int                   # different sentences
    source_errors: int              # from the two originals to what their own codes decode to
    source_words: int               # of the two originals

    @classmethod
    def of(cls, sentences: Sequence[Sentence], sources: tuple[Sentence, Sentence]) -> "Course":
        """Of decoded sentences and the originals at weight 0 and at weight 1."""
        ends = sentences[0], sentences[-1]
        return cls([edit_distance(b, a) for a, b in zip(sentences, sentences[1:], strict=False)],
                   *([edit_distance(sentence, end) for sentence in sentences] for end in ends),
                   len(set(map(tuple, sentences))),
                   sum(edit_distance(made, true) for made, true in zip(ends, sources, strict=True)),
                   sum(map(len, sources)))

    @property
    def ends(self) -> int:
        """How far apart the decoded ends are."""
        return self.from_start[-1]

    def shares(self) -> np.ndarray | None:
        """(L - 1,) length of each step over the distance of the ends."""
        return np.array(self.steps) / self.ends if self.ends else None

    @property
    def detour(self) -> float | None:
        """All steps together over the distance of the ends: at least 1, and 1 for a shortest way."""
        return None if self.shares() is None else float(self.shares().sum())

    @property
    def largest(self) -> float | None:
        """The largest step over the distance of the ends: 1 / (L - 1) at best."""
        return None if self.shares() is None else float(self.shares().max())

    @property
    def jumps(self) -> float | None:
        """Share of the steps that are jumps."""
        return None if self.shares() is None else float((self.shares() > JUMP).mean())

    @property
    def still(self) -> float:
        """Share of the steps that change nothing."""
        return float((np.array(self.steps) == 0).mean())

    @property
    def word_errors(self) -> float:
        """Words to change per word of the originals."""
        return self.source_errors / self.source_words

    def gone(self) -> list[float] | None:
        """(L,) how far from the start, over the distance of the ends."""
        return [distance / self.ends for distance in self.from_start] if self.ends else None

    def new(self, places: Sequence[int]) -> float:
        """Share of the points at `places` whose sentence is neither decoded end."""
        return float(np.mean([bool(self.from_start[i] and self.from_end[i]) for i in places]))

    def nearer(self, places: Sequence[int], weights: Sequence[float]) -> float:
        """Share of those points that are nearer in words to the decoded end with the larger weight."""
        toward = [self.from_start[i] - self.from_end[i] if weights[i] > 0.5 else self.from_end[i] - self.from_start[i]
                  for i in places]
        return float((np.array(toward) > 0).mean())


def rank_course(scores: Sequence[float]) -> float:
    """Spearman's correlation of place and score along a line, 0 where the score never changes.

    1 where it rises all the way from the first point to the last, −1 where it falls.
    """
    from scipy import stats
    values = np.asarray(scores, float)
    return 0.0 if np.ptp(values) == 0 else float(stats.spearmanr(np.arange(len(values)), values).statistic)


def rises(scores: Sequence[float], tolerance: float = TOLERANCE) -> bool:
    """Whether the score ends more than `tolerance` above its start without a step back of more than that."""
    values = np.asarray(scores, float)
    return bool(values[-1] - values[0] > tolerance and (np.diff(values) >= -tolerance).all())
