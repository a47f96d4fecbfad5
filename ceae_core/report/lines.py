"""What many interpolated lines of one run come to: each measure once per line, to be averaged with an interval."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ceae_core import experiments
from ceae_core.errors import CeaeError
from ceae_core.experiments import interpolation
from ceae_core.manifest import COMPLETE
from ceae_core.measure.interpolation import WEIGHTS
from ceae_core.measure.smoothness import Course, rank_course, rises
from ceae_core.report import recorded as records
from ceae_core.report.intervals import Interval, bootstrap_interval
from ceae_core.report.results import Result, load_recorded
from ceae_core.report.tables import Cell
from ceae_core.runs import Run, Store
from ceae_core.zoo import FAMILIES

MIXED = "positive-negative"
ALIKE = ("negative-negative", "positive-positive")
NEUTRAL = 0.2               # a score this near to one half is called neutral: from 0.3 to 0.7


@dataclass(frozen=True)
class Mean:
    """A mean over lines and its interval; `n` of `of` lines have the quantity.  None where none has."""

    value: float | None
    interval: Interval | None
    n: int
    of: int

    @classmethod
    def over(cls, values: Sequence[float | None]) -> "Mean":
        """The lines are resampled, not the points on them, which depend on each other."""
        known = [float(value) for value in values if value is not None]
        if not known:
            return cls(None, None, 0, len(values))
        interval = bootstrap_interval(known) if len(set(known)) > 1 else Interval(known[0], known[0])
        return cls(float(np.mean(known)), interval, len(known), len(values))

    def cell(self, places: int = 2) -> Cell:
        """Mean and interval; how many lines it rests on as the tooltip."""
        if self.value is None:
            return Cell(None, title=f"no line of {self.of} has this quantity")
        low, high = self.interval
        text = f"{self.value:.{places}f} [{low:.{places}f},\u00a0{high:.{places}f}]".replace("-", "−")
        return Cell(self.value, text, f"mean over {self.n} of {self.of} lines")


@dataclass(frozen=True)
class DecodedLine:
    """A line of `experiments.interpolation.lines`, with the weights of its points."""

    content: Mapping[str, Any]
    weights: np.ndarray

    @property
    def kind(self) -> str:
        return self.content["kind"]

    @cached_property
    def course(self) -> Course:
        """Its steps in words."""
        return Course(**self.content["course"])

    def score(self, by: str) -> list[float | None]:
        """(L,) scores of the points, Nones where nobody gave them."""
        return self.content["scores"].get(by, [None] * len(self.weights))

    def source_scores(self, by: str) -> list[float | None]:
        """Scores of the first and the second sentence as they were; empty where nobody gave them."""
        return self.content["scores"].get(f"{by}_sources", [])

    def scores_at(self, by: str, weights: Sequence[float] = WEIGHTS) -> list[float | None]:
        return [self.score(by)[i] for i in self.places(weights)]

    def places(self, weights: Sequence[float] = WEIGHTS) -> list[int]:
        """The points that have these weights."""
        return [int(np.abs(self.weights - weight).argmin()) for weight in weights]

    def nats_per_word(self, inside: bool) -> float:
        """The critic's, over all points between the ends or over both ends."""
        rows = slice(1, -1) if inside else [0, -1]
        return float(np.sum(np.array(self.content["nats"])[rows]) / np.sum(np.array(self.content["words"])[rows]))

    def grammatical(self, inside: bool) -> float | None:
        """Share of the points (see `nats_per_word`) that the grammar can produce; None without a grammar."""
        if "truth" not in self.content["scores"]:
            return None
        rows = slice(1, -1) if inside else [0, -1]
        return float(np.mean(np.array([score is not None for score in self.score("truth")])[rows]))

    def norm_at_middle(self) -> float:
        """Norm of the middle code over the mean norm of the two ends."""
        norms = self.content["norms"]
        return float(np.interp(0.5, self.weights, norms)) / ((norms[0] + norms[-1]) / 2)

    def new_sentences(self) -> float:
        """Share of the points of WEIGHTS that are neither of the decoded ends."""
        return self.course.new(self.places())

    def nearer_to_heavier(self) -> float:
        """Share of the points of WEIGHTS that are nearer in words to the decoded end with the larger weight."""
        return self.course.nearer(self.places(), self.weights)


class Lines:
    """All lines of one run; `name` is what pages call it."""

    def __init__(self, name: str, family: str, corpus: str, experiment: Mapping[str, Any]) -> None:
        self.name, self.family, self.corpus, self.id = name, family, corpus, experiment["id"]
        found = experiment["result"]
        self.weights = np.array(found["weights"])
        self.lines = [DecodedLine(content, self.weights) for content in found["lines"]]
        self.prior_norm: float = found["prior_norm"]
        self.critic: Mapping[str, Any] = found["critic"]

    def __iter__(self) -> Iterator[DecodedLine]:
        return iter(self.lines)

    def of(self, *kinds: str) -> list[DecodedLine]:
        return [line for line in self if line.kind in kinds]

    @property
    def is_labelled(self) -> bool:
        return bool(self.of(MIXED))

    def mean(self, measure: Callable[[DecodedLine], float | None], *kinds: str) -> Mean:
        """`measure` over the lines, or over those of some kinds."""
        return Mean.over([measure(line) for line in (self.of(*kinds) if kinds else self)])


def by_name(runs: Sequence[Run]) -> dict[str, Run]:
    """Name of the result -> run, of complete runs.  Raises CeaeError when two have one name."""
    complete = [run for run in runs if run.status == COMPLETE]
    found = {Result.of(run).name: run for run in complete}
    if len(found) < len(complete):
        raise CeaeError(f"interpolation: two runs are called the same ({', '.join(run.id for run in complete)}); "
                        "interpolate by one seed at a time")
    return found


def of(runs: Sequence[Run], store: Store | None = None, **parameters: Any) -> list[Lines]:
    """The lines of every complete run, from the store of experiments or decoded now."""
    return [Lines(name, run.spec.family, run.spec.corpus, interpolation.obtain(run, store=store, **parameters))
            for name, run in by_name(runs).items()]


def recorded() -> list[Lines]:
    """The lines that are recorded with the project, named by family, corpus and scale."""
    runs = {r.id: r for corpus in records.corpora() for r in load_recorded(corpus)}
    found = [(runs[content["parameters"]["run_id"]], content) for content in experiments.recorded(interpolation.NAME)
             if content["parameters"]["run_id"] in runs]
    order = list(FAMILIES)
    found.sort(key=lambda pair: (pair[0].corpus, order.index(pair[0].family), pair[0].id))
    return [Lines(f"{run.name}, {run.corpus} at {run.scale}", run.family, run.corpus, content)
            for run, content in found]


# measures of one line ------------------------------------------------------------------------------------------------

def share(scores: Sequence[float | None], is_so: Callable[[float], bool]) -> float | None:
    """Share of the scores there are for which something holds; None when there is none."""
    known = [bool(is_so(score)) for score in scores if score is not None]
    return float(np.mean(known)) if known else None


def is_neutral(score: float) -> bool:
    return abs(score - 0.5) <= NEUTRAL


def neutral(by: str, weights: Sequence[float] = WEIGHTS) -> Callable[[DecodedLine], float | None]:
    """First check of ceae, sec. 6: between a positive and a negative review lies a neutral one."""
    return lambda line: share(line.scores_at(by, weights), is_neutral)


def of_its_kind(by: str, weights: Sequence[float] = WEIGHTS) -> Callable[[DecodedLine], float | None]:
    """Second check, for two reviews of one kind: what lies between them is of that kind."""
    return lambda line: share(line.scores_at(by, weights), lambda score: (score > 0.5) == (line.kind == ALIKE[1]))


def agreeing(by: str, other: str) -> Callable[[DecodedLine], float | None]:
    """Third check: the score fits the text; two scores of a point are on one side of one half."""
    def measure(line: DecodedLine) -> float | None:
        both = [(a > 0.5) == (b > 0.5) for a, b in zip(line.scores_at(by), line.scores_at(other), strict=True)
                if None not in (a, b)]
        return float(np.mean(both)) if both else None
    return measure


def neutral_sources(by: str) -> Callable[[DecodedLine], float | None]:
    """Share of the two originals with a neutral score: what the corpus itself has of that."""
    return lambda line: share(line.source_scores(by), is_neutral)


def right_sources(by: str) -> Callable[[DecodedLine], float | None]:
    """Share of the two originals that a score puts on the side of their label: the accuracy of who gave it."""
    def measure(line: DecodedLine) -> float | None:
        known = [(score > 0.5) == (label == "positive") for score, label in zip(
            line.source_scores(by), line.kind.split("-"), strict=False) if score is not None]
        return float(np.mean(known)) if known else None
    return measure


def course(by: str) -> Callable[[DecodedLine], float | None]:
    """Spearman's correlation of score and weight."""
    return lambda line: None if None in line.score(by) else rank_course(line.score(by))


def rising(by: str) -> Callable[[DecodedLine], float | None]:
    """Whether the score rises from the negative to the positive end of a mixed pair, 0 or 1."""
    return lambda line: None if None in line.score(by) else float(rises(line.score(by)))
