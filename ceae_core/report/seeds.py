"""The first paper's Tables 12 and 13: what the printed spreads can be, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ceae_core.report import intervals, published
from ceae_core.report.figures import Line, Panel
from ceae_core.report.intervals import POWER, Interval, Summary
from ceae_core.report.tables import Cell, Table

TABLES = (12, 13)
HALF = 0.05                 # half a unit of the last printed digit
RARE = 0.01                 # share of simulated sets of runs below which a printed width counts as odd
OURS, RIVAL = "ceae:1:CEAE:", "ceae:1:BN-VAE:gamma=0.7"
FRACTIONS = (1.0, 0.5, 0.25, 0.1)       # of a published difference


@dataclass(frozen=True)
class Entry:
    """One cell of Table 12 or 13 with its mean from Table 1."""

    row: str                # key of Table 1
    dataset: str
    metric: str
    mean: float
    spread: published.Spread

    @property
    def model(self) -> str:
        """The model without its number: these tables have one variant of each."""
        return published.model_of(self.row)

    @property
    def width(self) -> float:
        return self.spread.high - self.spread.low

    @property
    def ratio(self) -> Interval | None:
        """Width in units of the sd, as far as rounding leaves it open; None where no sd is printed."""
        if self.spread.std is None:
            return None
        return Interval((self.width - 2 * HALF) / (self.spread.std + HALF),
                        (self.width + 2 * HALF) / (self.spread.std - HALF))

    @property
    def is_possible(self) -> bool | None:
        """Whether any set of runs has this width with this sd."""
        return None if self.ratio is None else self.ratio.low <= intervals.largest_range(runs())

    @property
    def implied_sd(self) -> float:
        """The sd that normal runs with this percentile range have on average."""
        return self.width / float(intervals.range_widths(runs()).mean())


def runs() -> int:
    """Number of runs behind a cell, as the first paper states it (sec. A.3)."""
    return int(published.setting("ceae", "all", "runs_averaged").value)


def alpha() -> float:
    """Level of the first paper's t-tests (sec. G)."""
    return published.setting("ceae", "statistics", "ttest_p").value


def entries() -> list[Entry]:
    """All cells of both tables in printed order."""
    out = []
    for table in TABLES:
        for cell in published.load("ceae", table).itertuples():
            row = f"ceae:1:{cell.model}:{cell.variant}"
            out.append(Entry(row, cell.dataset, cell.metric, published.cell(row, cell.dataset, cell.metric).value,
                             published.spread(cell.row, cell.dataset, cell.metric)))
    return out


def widths_table() -> Table:
    """Every printed interval in units of the printed sd, against percentile ranges of as many normal runs."""
    simulated = intervals.range_widths(runs())
    rows = []
    for entry in entries():
        ratio = entry.ratio
        share = None if ratio is None else intervals.width_share(ratio, simulated)
        rows.append({"corpus": entry.dataset, "model": entry.model, "metric": entry.metric, "mean": entry.mean,
                     "interval": Cell(entry.width, f"{entry.spread.low:.1f} to {entry.spread.high:.1f}"),
                     "sd": entry.spread.std, "width / sd": None if ratio is None else entry.width / entry.spread.std,
                     "what rounding leaves": ratio and Cell(ratio.low, f"{ratio.low:.1f} to {ratio.high:.1f}"),
                     "place of the mean (%)": 100 * (entry.mean - entry.spread.low) / entry.width,
                     "possible": _possible(entry, share)})
    low, middle, high = np.quantile(simulated, [RARE, 0.5, 1 - RARE])
    n = runs()
    models = ", ".join(dict.fromkeys(published.title(entry.row) for entry in entries()))
    notes = [f"{published.CITATIONS['ceae']}, Tables 12 and 13; means from Table 1: {models}. Percentile ranges of {n} "
             f"normal runs have {middle:.2f} sd (median; {low:.2f} to {high:.2f} in all but {200 * RARE:g} % of "
             f"{len(simulated):,} simulated sets). No {n} numbers span more than {intervals.largest_range(n):.2f} of "
             f"their sd. Odd: possible, but rarer than {100 * RARE:g} % on its side. An sd of one digit leaves a range "
             "of ratios."]
    return Table(rows, "The printed intervals in units of the printed sd", notes, "printed-widths", digits={
        "mean": 1, "sd": 1, "place of the mean (%)": 0})


def _possible(entry: Entry, share: float | None) -> Cell:
    if share is None:
        return Cell(None, title="no sd is printed")
    if not entry.is_possible:
        return Cell("no", strong=True)
    return Cell("odd" if share < RARE else "yes", title=f"share of simulated sets: {share:.4f}")


def widths_panel() -> Panel:
    """Printed width against printed sd, with the lines on which intervals of each kind would lie."""
    found = [entry for entry in entries() if entry.spread.std is not None]
    reach = np.linspace(0.0, 1.1 * max(entry.spread.std for entry in found), 20)
    simulated, known = intervals.range_widths(runs()), intervals.widths(runs())
    band = np.quantile(simulated, [RARE / 2, 1 - RARE / 2])
    groups = {model: [e for e in found if e.model == model] for model in dict.fromkeys(e.model for e in found)}
    lines = [Line(model, [e.spread.std for e in group], [e.width for e in group], style, alone=True)
             for style, (model, group) in enumerate(groups.items())]
    lines += [Line(f"percentiles of {runs()} runs", reach, simulated.mean() * reach, 3,
                   spread=(band[0] * reach, band[1] * reach)),
              Line("largest possible", reach, known["largest range possible"] * reach, 6),
              Line("interval of the mean", reach, known["mean, t"] * reach, 8)]
    return Panel("", "printed sd", "printed width", lines)


# tests ---------------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Comparison:
    """A bold cell against the same cell of another model."""

    best: Entry
    other: Entry
    test: intervals.Test | None             # None: an sd is missing
    adjusted: float | None                  # by Holm over all comparisons that can be made
    robust: intervals.Test                  # with the sds that the intervals imply

    @property
    def holds(self) -> bool | None:
        """Whether the difference has the sign and the significance that bold print claims."""
        return None if self.test is None else self.test.difference < 0 and self.test.p < alpha()


def comparisons() -> list[Comparison]:
    """Every bold cell of Tables 12 and 13 against the other models there; smaller is better in all of them."""
    found = entries()
    pairs = [(best, other) for best in found if best.spread.bold for other in found
             if (other.dataset, other.metric) == (best.dataset, best.metric) and other.row != best.row]
    tests = [None if None in (a.spread.std, b.spread.std) else
             intervals.welch(Summary(a.mean, a.spread.std, runs()), Summary(b.mean, b.spread.std, runs()))
             for a, b in pairs]
    adjusted = iter(intervals.holm([test.p for test in tests if test]))
    robust = [intervals.welch(*(Summary(e.mean, e.implied_sd, runs()) for e in pair)) for pair in pairs]
    return [Comparison(a, b, test, next(adjusted) if test else None, other)
            for (a, b), test, other in zip(pairs, tests, robust, strict=True)]


def welch_table() -> Table:
    """The t-tests behind the bold print, recomputed from means, sds and the stated number of runs."""
    rows = [{"corpus": c.best.dataset, "metric": c.best.metric,
             "bold": Cell(c.best.model + (" *" if c.best.spread.starred else ""), strong=True),
             "against": c.other.model, "difference": c.best.mean - c.other.mean, "t": c.test and c.test.statistic,
             "p | Welch": c.test and p_cell(c.test.p), "p | after Holm": c.test and p_cell(c.adjusted),
             "p | sd from the interval": p_cell(c.robust.p),
             f"p < {alpha():g}": Cell(None, title="no sd is printed") if c.holds is None else "yes" if c.holds else
             Cell("no", strong=True)} for c in comparisons()]
    notes = [f"Welch's test, {runs()} runs each, two-sided; Holm over all tests that can be made. Negative differences "
             "favour the bold model. *: starred in the paper, which there means insignificant."]
    return Table(rows, "Bold print in Tables 12 and 13, tested", notes, "printed-tests", digits={"difference": 1})


def p_cell(p: float) -> Cell:
    """A p-value: two digits, below 0.001 its power of ten."""
    return Cell(p, f"{p:.3f}" if p >= 0.001 else f"{p:.0e}".replace("e-0", "e-").replace("-", "−"))


# power ---------------------------------------------------------------------------------------------------------------

def rivals() -> list[tuple[Entry, Entry]]:
    """(CEAE, BN-VAE) for every corpus and metric of Tables 12 and 13."""
    found = entries()
    return [(ours, other) for ours in found if ours.row == OURS for other in found
            if other.row == RIVAL and (other.dataset, other.metric) == (ours.dataset, ours.metric)]


def seeds_table() -> Table:
    """How many seeds of each model separate CEAE from BN-VAE at the printed spreads, and what ten can see."""
    rows = []
    for ours, other in rivals():
        difference, sds = ours.mean - other.mean, _sds(ours, other)
        needed = {fraction: intervals.seeds_needed(fraction * difference, sds, alpha()) for fraction in FRACTIONS}
        rows.append({"corpus": ours.dataset, "metric": ours.metric, "CEAE − BN-VAE": difference,
                     "sd | CEAE": Cell(sds[0], title="" if ours.is_possible else "from the interval"),
                     "sd | BN-VAE": sds[1],
                     **{f"seeds for | {100 * f:.0f} %": Cell(n, "" if n else f"> {intervals.MOST_SEEDS}")
                        for f, n in needed.items()},
                     f"seen by {runs()}": intervals.detectable(sds, runs(), alpha())})
    notes = [f"Seeds of each model for a power of {100 * POWER:.0f} % in Welch's two-sided test at {alpha():g}, if "
             f"the true difference is so many percent of the printed one. Seen by {runs()}: the smallest true "
             f"difference that {runs()} seeds of each find with that power. An impossible sd is replaced by what its "
             "interval implies (tooltip)."]
    return Table(rows, "How many seeds are enough", notes, "seeds-needed", digits={"CEAE − BN-VAE": 1})


def _sds(*pair: Entry) -> tuple[float, float]:
    return tuple(e.spread.std if e.is_possible else e.implied_sd for e in pair)


def power_panels(counts: Sequence[int] = range(2, 51), metric: str = "Rec") -> list[Panel]:
    """Power against seeds for fractions of the printed difference between CEAE and BN-VAE, a panel per corpus."""
    return [Panel(f"{ours.dataset}, {metric}: {abs(ours.mean - other.mean):.1f} nats", "seeds of each model", "power", [
        Line(f"{100 * fraction:.0f} %", counts,
             [intervals.power(fraction * (ours.mean - other.mean), _sds(ours, other), n, alpha()) for n in counts], i)
        for i, fraction in enumerate(FRACTIONS)], {"": POWER})
        for ours, other in rivals() if ours.metric == metric]


def coverage_panels(counts: Sequence[int] = (3, 4, 5, 7, 10, 15, 20)) -> list[Panel]:
    """How often 90 % intervals hold the true mean, and the next run, against the number of runs."""
    found = {method: [intervals.coverage(n, method) for n in counts] for method in intervals.METHODS}
    return [Panel(title, "runs", "share of intervals that hold it", [
        Line(method, counts, [values[key] for values in each], i) for i, (method, each) in enumerate(found.items())],
        {f"{100 * intervals.LEVEL:.0f} %": intervals.LEVEL})
        for key, title in (("mean", "the true mean"), ("run", "the next run"))]
