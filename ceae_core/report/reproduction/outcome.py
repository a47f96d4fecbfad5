"""What a reproduction of one table or figure came to, and the rule that makes a verdict of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ceae_core.report import agreement, perplexity, probe, seed_runs
from ceae_core.report import clusters as synthetic
from ceae_core.report import lines as interpolated
from ceae_core.report.perplexity import Board
from ceae_core.report.ptb import SAME
from ceae_core.report.recorded import corpora
from ceae_core.report.results import Result, load_recorded

REPRODUCED, PARTLY, NOT, UNDECIDED, NOT_YET, NOT_RUNNABLE, DRAWING = VERDICTS = (
    "reproduced", "partly", "not reproduced", "undecided", "not run yet", "not runnable", "drawing")

APART = 1.96                # standard errors that a difference without a cause exceeds in 5 % of cases, the usual level


@dataclass(frozen=True)
class Check:
    """One thing that a table or figure is read to say.

    `holds`: whether it came out; None: not measured, or too close to tell.  `shown`: the numbers behind it.
    """

    says: str
    holds: bool | None
    shown: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a rule found: the headline number of the paper and ours, the checks, the lesson in one sentence.

    `runs` are the runs behind it, `experiments` the ids of stored experiments.
    """

    theirs: str = ""
    ours: str = ""
    lesson: str = ""
    checks: Sequence[Check] = ()
    runs: Sequence[Result] = ()
    experiments: Sequence[str] = ()


@dataclass(frozen=True)
class Records:
    """The results on which verdicts rest: recorded runs by source ("oracle at quick"), clusters, interpolated lines,
    perplexities of samples, few-label probes, agreements with an encoder."""

    runs: Mapping[str, Sequence[Result]] = field(default_factory=dict)
    clusters: Sequence[synthetic.Trained] = ()
    lines: Sequence[interpolated.Lines] = ()
    perplexities: Sequence[Board] = ()
    probes: Sequence[probe.Board] = ()
    agreements: Sequence[agreement.Judged] = ()
    of_transformers: Sequence[Board] = ()       # perplexities of samples by transformers; others by LSTMs

    @property
    def every(self) -> list[Result]:
        return [result for group in self.runs.values() for result in group]


def recorded() -> Records:
    """All that is recorded with the project."""
    runs: dict[str, list[Result]] = {}
    for corpus in corpora():
        for result in load_recorded(corpus):
            runs.setdefault(f"{corpus} at {result.scale}", []).append(result)
    return Records(runs, synthetic.recorded(), interpolated.recorded(),
                   [perplexity.recorded(corpus, scale) for corpus, scale in perplexity.RECORDED],
                   probe.recorded(), agreement.recorded(),
                   of_transformers=[perplexity.recorded(corpus, scale, net="transformer")
                                    for corpus, scale in perplexity.RECORDED])


def verdict(checks: Sequence[Check], is_drawing: bool = False, was_run: bool = False, obstacle: str = "") -> str:
    """The verdict that the checks give, one rule for all tables and figures.

    Reproduced: every check is decided and holds.  Not reproduced: none that is decided holds.  Partly: anything else
    of which something is decided.  Where nothing is, it is undecided if it was run (more seeds would decide), not
    runnable if there is an `obstacle`, and else not run yet.
    """
    if is_drawing:
        return DRAWING
    decided = [check.holds for check in checks if check.holds is not None]
    if not decided:
        return UNDECIDED if was_run else NOT_RUNNABLE if obstacle else NOT_YET
    if not any(decided):
        return NOT
    return REPRODUCED if all(decided) and len(decided) == len(checks) else PARTLY


def tally(checks: Sequence[Check]) -> str:
    """How many checks hold, of those that are decided, and how many are open."""
    decided = [check.holds for check in checks if check.holds is not None]
    waiting = len(checks) - len(decided)
    said = [*([f"{sum(decided)} of {len(decided)}"] if decided else []), *([f"{waiting} open"] if waiting else [])]
    return ", ".join(said)


def tell(text: str) -> str:
    """A text with numbers, their minus signs as they are printed."""
    return text.replace(" -", " −")


def joined(says: str, found: Mapping[str, tuple[bool | None, str]]) -> Check:
    """One check from what each source says (label -> whether it holds, numbers): holds if it does wherever decided."""
    decided = [holds for holds, _ in found.values() if holds is not None]
    words = {True: "yes", False: "no", None: "open"}
    shown = (f"{label}: {words[holds]}{f' ({text})' if text else ''}" for label, (holds, text) in found.items())
    return Check(says, all(decided) if decided else None, "; ".join(shown))


class Noise:
    """What seeds do to a measure: its sd over seeds by family, from families with enough of them.

    `metrics` are its names in our runs: what is a bound for one family is an estimate by critics for another.
    """

    def __init__(self, results: Sequence[Result], *metrics: str) -> None:
        self.sds = {family: sd for metric in metrics for family, sd in seed_runs.sds(results, metric).items()}

    def margin(self, *groups: Sequence[Result]) -> float:
        """Nats by which the means of two groups of runs must differ to count as different.

        A family whose sd nobody measured is taken to vary as much as the one that varies most.  Where no sd is known,
        a difference is taken as it is, but for SAME.
        """
        if not self.sds:
            return SAME
        largest = max(self.sds.values())
        variances = (self.sds.get(group[0].family, largest) ** 2 / len(group) for group in groups)
        return max(SAME, APART * sum(variances) ** 0.5)
