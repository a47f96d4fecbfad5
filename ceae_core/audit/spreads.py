"""Findings about marks, standard deviations, intervals and tests (ceae, Tables 12 and 13)."""

import numpy as np

from ceae_core.audit import maths_spreads as maths
from ceae_core.audit.finding import Evidence, Finding
from ceae_core.report import intervals, published, seeds
from ceae_core.report.intervals import Summary
from ceae_core.report.published import title
from ceae_core.report.seeds import Entry

BETTER = "ceae:1:BN-VAE:gamma=0.6"          # the rival that no table of deviations has
FULL = 1.0                                  # level of the range from the smallest to the largest run


def name(entry: Entry) -> str:
    """A cell as a sentence calls it."""
    return f"{entry.model} {entry.metric} ({entry.dataset})"


def entry(row: str, dataset: str, metric: str) -> Entry:
    """One cell of Table 12 or 13, by its row in Table 1."""
    return next(e for e in seeds.entries() if (e.row, e.dataset, e.metric) == (row, dataset, metric))


def narrowness(found: Entry) -> float:
    """How often the range of as many normal runs is at least as narrow for its deviation, rounding allowed for; of
    interpolated percentiles and extremes whichever makes it more frequent."""
    return max(float((intervals.range_widths(seeds.runs(), level=level) <= found.ratio.high).mean())
               for level in (intervals.LEVEL, FULL))


def check_impossible() -> Evidence:
    runs = seeds.runs()
    found = [e for e in seeds.entries() if e.is_possible is False]
    if not found:
        return Evidence(False, "No interval is wider than its deviation allows.")
    one, rival = found[0], entry(seeds.RIVAL, found[0].dataset, found[0].metric)
    most = intervals.largest_range(runs) * (one.spread.std + seeds.HALF)
    implied = one.width / float(intervals.range_widths(runs, level=FULL).mean())
    p = intervals.welch(Summary(one.mean, implied, runs), Summary(rival.mean, rival.spread.std, runs)).p
    return Evidence(len(found) == 1 and p < seeds.alpha(), f"{name(one)}: width {one.width:.1f}; {runs} values with "
                    f"standard deviation {one.spread.std} (at most {one.spread.std + seeds.HALF:g} before rounding) "
                    f"lie at most {most:.2f} apart. The width goes with a deviation of about {implied:.1f}; against "
                    f"{rival.model} p is then {seeds.p_cell(p).text}.",
                    {"width": one.width, "most": most, "implied": implied, "p": p})


def check_narrow() -> Evidence:
    chances = {name(e): narrowness(e) for e in seeds.entries() if e.ratio}
    which, least = min(chances.items(), key=lambda item: item[1])
    return Evidence(least < seeds.RARE < sorted(chances.values())[1], f"{which}: an interval at most as wide for its "
                    f"deviation occurs in {100 * least:.1g} % of simulated sets of {seeds.runs()} normal runs, however "
                    "the percentiles are taken.", {"chance": least})


def check_intervals() -> Evidence:
    runs, found = seeds.runs(), seeds.entries()
    ratios = np.array([e.width / e.spread.std for e in found if e.spread.std])
    places = [(e.mean - e.spread.low) / e.width for e in found]
    percentiles, extremes = (float(intervals.range_widths(runs, level=v).mean()) for v in (intervals.LEVEL, FULL))
    middle, mean = float(np.median(ratios)), intervals.widths(runs)["mean, t"]
    return Evidence(abs(middle - extremes) < 0.2 < middle - percentiles, f"Width over deviation: median {middle:.2f}, "
                    f"middle half {np.quantile(ratios, 0.25):.2f} to {np.quantile(ratios, 0.75):.2f}. Expected for "
                    f"{runs} normal runs: {percentiles:.2f} between interpolated percentiles, {extremes:.2f} between "
                    f"the smallest and the largest, {mean:.2f} for an interval of the mean. The mean stands at "
                    f"{100 * min(places):.0f} to {100 * max(places):.0f} % of the width.",
                    {"median": middle, "percentiles": percentiles, "extremes": extremes})


def check_welch() -> Evidence:
    tested = [c for c in seeds.comparisons() if c.best.row == seeds.OURS and c.test]
    worst = max(tested, key=lambda c: c.test.p)
    return Evidence(all(c.holds for c in tested) and len(tested) == 14, f"Welch's test from the printed means and "
                    f"deviations, {seeds.runs()} runs each: all {len(tested)} comparisons of bold CEAE cells have p < "
                    f"{seeds.alpha():g}; the largest p is {seeds.p_cell(worst.test.p).text}, against "
                    f"{name(worst.other)}.",
                    {"largest": worst.test.p, "tests": len(tested)})


def check_starred() -> Evidence:
    """The bold and starred cell that is not CEAE's."""
    (one,) = (c for c in seeds.comparisons() if c.best.row != seeds.OURS and c.other.row == seeds.OURS)
    column = {row: published.cell(row, one.best.dataset, one.best.metric).value for row in published.rows("ceae", 1)}
    best = min(column, key=column.get)
    return Evidence(one.best.spread.starred and one.holds is False and best != one.best.row,
                    f"{name(one.best)}, {one.best.mean} ± {one.best.spread.std}, against CEAE, {one.other.mean} ± "
                    f"{one.other.spread.std}: |t| = {abs(one.test.statistic):.2f}, p = {one.test.p:.2f}. Best of "
                    f"Table 1 is {title(best)} with {column[best]:g}.", {"p": one.test.p})


def check_untestable() -> Evidence:
    """Against BN-VAE (0.6): the deviation that it may have; against a single run of BN-VAE (0.7)."""
    runs, level = seeds.runs(), seeds.alpha()
    lr, lf = entry(seeds.OURS, "Yahoo", "L-R"), entry(seeds.OURS, "Yelp", "L-F")
    limit, never = (maths.largest_rival_sd((e.mean, e.spread.std), published.cell(BETTER, e.dataset, e.metric).value,
                                           runs, level) for e in (lr, lf))
    if limit is None or never is not None:
        return Evidence(False, f"Against {title(BETTER)} neither or both of two columns can pass.")
    single = {name(a): maths.against_single(a.mean, a.spread.std, runs, b.mean)[1]
              for a, b in seeds.rivals() if a.spread.bold}
    which, p = max(single.items(), key=lambda item: item[1])
    return Evidence(p > level, f"{name(lr)} passes against {title(BETTER)} if the deviation of that is below "
                    f"{limit:.1f}; {name(lf)} cannot pass whatever it is. Against a single run of BN-VAE (0.7) {which} "
                    f"has p = {p:.2f}.", {"limit": limit, "single": p})


def check_marks() -> Evidence:
    """Every bold cell of tables with values is the best of its column, and where bold is missing or shared."""
    wrong, unmarked, ties = [], set(), []
    for paper, table in published.tables():
        frame = published.load(paper, table)
        if frame["value"].isna().all() or not isinstance(table, int):
            continue
        for (dataset, metric, _), column in frame.groupby(["dataset", "metric", "architecture"], sort=False):
            best = column["value"].min() if column["direction"].iloc[0] == "min" else column["value"].max()
            bold, first = set(column[column["bold"] == 1]["row"]), set(column[column["value"] == best]["row"])
            wrong += [(paper, table, dataset, metric)] if bold - first else []
            if not bold:
                unmarked.add((paper, table))
            elif bold != first:
                ties.append(f"{paper.upper()} Table {table}, {metric}")
    without = ", ".join(f"{paper.upper()} Table {table}" for paper, table in sorted(unmarked))
    return Evidence(not wrong and len(unmarked) == 2 and len(ties) == 1, f"Bold cells that are not the best of their "
                    f"column: {len(wrong)}. Tables without bold: {without}. Ties of which only one is bold: "
                    f"{', '.join(ties)}.", {"wrong": len(wrong), "unmarked": len(unmarked), "ties": len(ties)})


FINDINGS = (
    Finding("both-marks", "ceae", "Tables 1–11; CLVM, all tables", "number", "consistent", "Bold marks the best",
            "No bold cell is worse than another of its column, in either paper. Small irregularities: two tables of "
            "the first paper have no bold though CEAE is the best throughout, and one tie of the second is bold on one "
            "side only.", check_marks),
    Finding("ceae-sd", "ceae", "Table 12, L-F of CEAE", "number", "impossible", "A standard deviation and an interval",
            "They do not belong together: so few runs with so small a deviation cannot lie so far apart. Probably the "
            "deviation is misprinted; the paper's conclusion survives the one that the interval implies.",
            check_impossible, see="sec-audit-spreads"),
    Finding("ceae-sd-narrow", "ceae", "Table 13, Rec of CEAE", "number", "unexplained",
            "A standard deviation and an interval",
            "The interval is too narrow for the deviation, the other way round. Possible, but improbable for normal "
            "runs; one of the two may be misprinted.", check_narrow, see="sec-audit-spreads"),
    Finding("ceae-intervals", "ceae", "Tables 12, 13", "number", "unexplained",
            "“5 to 95 percentile confidence intervals”",
            "They are ranges of runs, not confidence intervals of a mean, which would be half as wide or less. Their "
            "width fits the smallest and the largest of the runs, which is what those percentiles are among ten values "
            "when none is interpolated; it does not fit interpolated percentiles. How they were made is not said.",
            check_intervals, see="sec-audit-spreads"),
    Finding("ceae-welch", "ceae", "appendix G", "number", "consistent", "Bold means a t-test passed",
            "Recomputed from the printed means and deviations, every bold CEAE cell passes against both rivals of its "
            "table.", check_welch, see="sec-audit-spreads"),
    Finding("ceae-star", "ceae", "Table 13, L-R of BN-VAE", "number", "inconsistent",
            "One cell is bold (the test passed) and starred (insignificant)",
            "It is not significant, and not the best of Table 1 either.", check_starred, see="sec-audit-spreads"),
    Finding("ceae-rival", "ceae", "appendix G", "claim", "not checkable", "Significance against the best rival",
            "For two columns the best rival is BN-VAE (0.6), for which no deviation is printed; the star at Yelp L-F "
            "must refer to it, and is right. If BN-VAE's figure is the better of a fixed seed and an average, as "
            "section A.3 has it, it may come from one run, and then one of the bold cells does not pass.",
            check_untestable, see="sec-audit-spreads"),
    Finding("ceae-copied", "ceae", "section A.3, Tables 12, 13", "number", "inconsistent",
            "Rec of BN-VAE is copied from earlier work, and has a deviation and an interval",
            "A copied number has none; the spread must be that of the authors' own runs, which they say came close to "
            "it.", basis="Read: section A.3 beside Tables 12 and 13."),
)
