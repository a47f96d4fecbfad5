"""Rules for the agreement with BERT, Tables 9 and 10 of the first paper: as printed, and by recorded ones of ours."""

from collections.abc import Sequence

from ceae_core.measure.agreement import COEFFICIENTS
from ceae_core.report import agreement, intervals
from ceae_core.report.agreement import ROWS, Judged, of_row, printed
from ceae_core.report.reproduction.outcome import Check, Outcome, Records, joined, tell

BEST = "ceae"
FEWEST_SEEDS = 3            # of both, for a test over seeds
SIGNIFICANT = 0.05          # p of that test, two-sided, the usual level


def ceae_table(dataset: str):
    """Rule for the table of a corpus (Yahoo or Yelp): is CEAE first in each coefficient, and is τ above ρ?"""
    def rule(records: Records) -> Outcome:
        theirs, judged = printed(dataset), records.agreements
        places = agreement.places(judged)
        rank = ", ".join(f"{model} {found.value:.2f}" for model, found in theirs["spearman"].items())
        tau, rho = theirs["kendall"], theirs["spearman"]
        above = sum(tau[model].value > rho[model].value for model in tau)
        said = "; ".join(f"{place}: {_row(judged, place)}" for place in places)
        used = [each for place in places for family in ROWS if (each := of_row(judged, family, place))]
        return Outcome(
            f"Spearman: {rank}", f"Spearman, {said}" if said else "",
            f"In {above} of {len(tau)} columns the printed Kendall's τ is above Spearman's ρ; for most data it is well "
            "below.",
            [joined(f"CEAE agrees best by {name.capitalize()}'s coefficient",
                    {place: found for place in places if (found := first(judged, place, name))})
             for name in COEFFICIENTS] + [_above(judged, places)], experiments=[each.id for each in used])
    return rule


def first(judged: Sequence[Judged], place: str, coefficient: str) -> tuple[bool | None, str] | None:
    """Whether CEAE is above all other rows of the table that are there, with the smallest of the differences.

    Any row that is above CEAE refutes it; to support it takes all of them.  None without another row.
    """
    best = of_row(judged, BEST, place)
    others = [each for family in ROWS if family != BEST and (each := of_row(judged, family, place))]
    found = [gap for each in others if (gap := _gap(judged, best, each, coefficient))]
    if not found:
        return None
    signs = [sign for sign, _, _ in found]
    is_whole = len(found) == len(ROWS) - 1
    return (False if False in signs else True if is_whole and all(signs) else None,
            min(found, key=lambda gap: gap[1])[2])


def _gap(judged: Sequence[Judged], best: Judged, other: Judged, coefficient: str,
         ) -> tuple[bool | None, float, str] | None:
    """Whether one judge is above another (None: too close to tell), by how much, and that as a text.

    With FEWEST_SEEDS of both the seeds decide, by Welch's test; else the sentences, which say nothing about seeds.
    """
    groups = [[each.value(coefficient) for each in judged if (each.name, each.place) == (one.name, one.place)]
              for one in (best, other)]
    if any(None in group for group in groups):
        return None
    if min(map(len, groups)) >= FEWEST_SEEDS:
        test = intervals.welch(*map(intervals.Summary.of, groups))
        gap, is_clear = test.difference, test.p < SIGNIFICANT
        how = f"({len(groups[0])} and {len(groups[1])} seeds, p = {test.p:.1g})"
    else:
        gap, (low, high) = best.minus(other, coefficient)
        is_clear = low > 0 or high < 0
        how = f"[{low:+.2f}, {high:+.2f}]".replace("[-", "[−")
    return gap > 0 if is_clear else None, gap, tell(f"CEAE - {other.name}: {gap:+.2f} {how}").replace(": -", ": −")


def _above(judged: Sequence[Judged], places: Sequence[str]) -> Check:
    """Whether Kendall's coefficient is above Spearman's in most rows, as it is printed."""
    def most(place: str) -> tuple[bool, str]:
        there = [each for family in ROWS if (each := of_row(judged, family, place))]
        count = sum(each.value("kendall") > each.value("spearman") for each in there)
        return 2 * count > len(there), f"{count} of {len(there)}"
    return joined("Kendall's τ is above Spearman's ρ for most models, as printed",
                  {place: most(place) for place in places})


def _row(judged: Sequence[Judged], place: str) -> str:
    return ", ".join(f"{each.name} {each.value('spearman'):.2f}" for family in ROWS
                     if (each := of_row(judged, family, place)))
