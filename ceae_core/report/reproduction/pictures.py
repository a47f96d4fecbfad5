"""Rules for the pictures of the second paper, and for the drawings of both."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ceae_core import zoo
from ceae_core.manifest import COMPLETE
from ceae_core.report import ablations, clusters, negativity, published
from ceae_core.report.ptb import PAPERS, VALID
from ceae_core.report.reproduction.outcome import Check, Noise, Outcome, Records, joined, tell
from ceae_core.report.results import Result, largest


def clvm_table5(records: Records) -> Outcome:
    """Second paper, Table 5: what its text reads off the pictures, in recorded trainings."""
    found = []
    for claim in clusters.CLAIMS:
        shown = (f"{model} {value:.2f}" for model, value in _accuracy(records, claim).items())
        found.append(Check(f"K = {claim.categories}: {claim.text}", clusters.holds(records.clusters, claim),
                           f"accuracy {', '.join(shown)}"))
    first = clusters.CLAIMS[0]
    reached = [step for t in records.clusters if t.model in first.models and t.categories == first.categories
               for step in t.first(clusters.SEPARATED)]
    theirs = f"K = {first.categories}: apart after {first.step:,} epochs"
    if not reached:
        return Outcome(theirs, checks=found)
    there = [step for step in reached if step is not None]
    when = f"apart after {min(there):,} to {max(there):,} steps" if there else "never apart"
    by_then = sum(step <= first.step for step in there)
    return Outcome(theirs, f"K = {first.categories}: {when}, {len(there)} of {len(reached)} trainings",
                   f"At the paper's learning rate {by_then} of {len(reached)} trainings had the categories apart as "
                   "early as it says.", found, experiments=[t.id for t in records.clusters])


def _accuracy(records: Records, claim: clusters.Claim) -> dict[str, float]:
    """Model -> median accuracy at the point of a claim, of the models that are recorded."""
    values = {model: clusters.claimed(records.clusters, claim, model) for model in claim.models}
    return {model: float(np.nanmedian(v)) for model, v in values.items() if v is not None}


# Figure 3 ------------------------------------------------------------------------------------------------------------

class Courses(NamedTuple):
    """The estimates (E,) of every seed of a family over its epochs."""

    kl: list[list[float]]
    mi: list[list[float]]

    @classmethod
    def of(cls, results: Iterable[Result]) -> "Courses | None":
        group = [r for r in results if r.history]
        return cls(*([negativity.column(r, negativity.DUAL.format(quantity))[1] for r in group]
                     for quantity in ("kl", "mi"))) if group else None


def lowest(courses: Sequence[Sequence[float]]) -> float:
    """The lowest estimate of any epoch and seed."""
    return min(value for course in courses for value in course)


STATEMENTS: tuple[tuple[str, tuple[str, ...], Callable[..., bool]], ...] = (       # clvm, sec. 4.3
    ("the KL of iVAE turns negative", ("ivae",), lambda ivae: lowest(ivae.kl) < 0),
    ("the MI of iVAE turns negative", ("ivae",), lambda ivae: lowest(ivae.mi) < 0),
    ("the KL of cVAE falls less deep than that of iVAE", ("ivae", "cvae"),
     lambda ivae, cvae: lowest(cvae.kl) > lowest(ivae.kl)),
    ("the KL of cVAE+ with MI never falls below 0", ("cvae+-mi",), lambda plus: lowest(plus.kl) >= 0),
    ("the KL of cVAE+ with MI grows over the epochs", ("cvae+-mi",),
     lambda plus: all(course[-1] > course[0] for course in plus.kl)))


def clvm_figure3(records: Records) -> Outcome:
    """Second paper, Figure 3: negative estimates of KL and MI, and the remedy."""
    families = ("ivae", "cvae", "cvae+-mi")
    used = {label: [r for r in results if r.family in families and r.is_row(r.family, {}) and r.status == COMPLETE]
            for label, results in records.runs.items()}
    found = []
    for says, models, test in STATEMENTS:
        sources = {}
        for label, results in used.items():
            courses = [Courses.of(r for r in results if r.family == model) for model in models]
            if None not in courses:
                text = ", ".join(f"{model} lowest KL {lowest(c.kl):.1f}, MI {lowest(c.mi):.1f}"
                                 for model, c in zip(models, courses, strict=True))
                sources[label] = test(*courses), tell(text)
        found.append(joined(says, sources))
    runs = [r for results in used.values() for r in results]
    shares = [100 * r.metric("kl_dual_nats") / r.metric("kl_exact_nats") for r in runs]
    lows = [f"{label} {lowest(courses.kl):.1f}" for label, results in used.items()
            if (courses := Courses.of(r for r in results if r.family == "ivae"))]
    epoch = published.setting("clvm", "LM", "ivae_kl_collapse_epoch").value
    lesson = (f"The curves show critics that read {min(shares):.0f} to {max(shares):.0f} % of the exact KL: the sign "
              "of a reading says nothing about the KL.") if shares else ""
    return Outcome(f"KL of iVAE by the critics: “a large negative number” at epoch {epoch:.0f}",
                   tell(f"lowest KL of iVAE by the critics, nats: {', '.join(lows)}") if lows else "", lesson, found,
                   runs)


# Figure 4 ------------------------------------------------------------------------------------------------------------

SWEPT = "cvae+-mi"          # the paper does not say which model it shows


def clvm_figure4(records: Records) -> Outcome:
    """Second paper, Figure 4: the best rate of dropout, and from where on results get worse."""
    best, stable, worse = (published.setting("clvm", "PTB", f"dropout_{name}").value
                           for name in ("best", "stable_high", "degrades_from"))
    found, ours, tops = [], [], {PAPERS: set(), VALID: set()}
    for how, metric in zip(tops, ablations.DROPOUT_METRICS, strict=True):
        first, flat, steep = {}, {}, {}
        for label, results in records.runs.items():
            curve, runs = ablations.by_dropout(results, SWEPT, metric), ablations.swept(results, SWEPT)
            if best not in curve or len(curve) < 3:
                continue
            same = Noise(results, metric).margin(runs[:1], runs[:1])        # of two single runs
            top = min(curve, key=curve.get)
            tops[how].add((label, top))
            ours.append(f"{top:g} {how} ({label})")
            above = {rate: value - curve[best] for rate, value in curve.items() if rate != best}
            text = tell(", ".join(f"{rate:g}: {gap:+.1f}" for rate, gap in above.items()))
            text += f" nats, known to {same:.1f}"
            first[label] = _least(above.values(), same), text
            flat[label] = _flat([gap for rate, gap in above.items() if best < rate <= stable], same), ""
            steep[label] = _least((gap for rate, gap in above.items() if rate >= worse), same), ""
        found += [joined(f"{best:g} is the best rate, {how}", first),
                  joined(f"rates from {best:g} to {stable:g} do equally well, {how}", flat),
                  joined(f"from {worse:g} on results are worse than at {best:g}, {how}", steep)]
    lesson = "" if not ours else "The best rate is the same by the critics and by a valid bound." \
        if tops[PAPERS] == tops[VALID] else \
        "Which rate is best depends on the measure: critics say another one than a bound."
    used = [r for results in records.runs.values() for r in ablations.swept(results, SWEPT) if r.status == COMPLETE]
    return Outcome(f"best rate of dropout: {best:g}", f"best rate: {'; '.join(ours)}" if ours else "", lesson, found,
                   largest(used) if ours else [])


def _least(gaps: Iterable[float], same: float) -> bool | None:
    """Whether all gaps are positive by more than `same`; None where one is too small to tell and none is negative."""
    gaps = list(gaps)
    return None if not gaps else False if min(gaps) < -same else True if min(gaps) > same else None


def _flat(gaps: Sequence[float], same: float) -> bool | None:
    """Whether no gap is larger than what seeds do."""
    return max(map(abs, gaps)) <= same if gaps else None


# drawings ------------------------------------------------------------------------------------------------------------

def drawing(*families: str) -> Callable[[Records], Outcome]:
    """Rule for a drawing of models: how many of them the zoo has."""
    def rule(records: Records) -> Outcome:
        there = sum(name in zoo.FAMILIES for name in families)
        return Outcome("no numbers", f"{there} of {len(families)} models that it shows are in the zoo",
                       "A drawing has no numbers; what it shows is code with tests.")
    return rule
