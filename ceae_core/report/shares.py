"""What the first paper's printed shares of choices can and cannot show (Tables 4, 5, 7 and 8)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from scipy import stats

from ceae_core.audit import maths_shares as maths
from ceae_core.audit.claims import HUMAN, MACHINE, asked, cells
from ceae_core.preference import power, shares
from ceae_core.report import published
from ceae_core.report.figures import Line, Panel
from ceae_core.report.intervals import holm
from ceae_core.report.tables import Cell, Table

MODELS = ("CEAE", "BN-VAE", "VAE")
PAIRS = ((0, 1), (1, 2), (0, 2))
JUDGES = {"people": HUMAN, "GPT-4": MACHINE}
LEVEL = 0.05
NARROW = "\u202f"          # a blank at which no line breaks
CURVE = (20, 30, 50, 70, 100, 150, 200, 300, 400, 600, 800, 1000, 1500, 2000, 3000, 5000)
GAPS = (0.05, 0.1, 0.2)     # differences of two shares in the figure of power
MIDDLE = 0.35               # their mean there, near a third
ICCS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Printed(NamedTuple):
    """One printed row: who chose, from which models on which corpus, and the shares in percent."""

    judge: str
    table: int
    of: str
    shares: Sequence[float]


def printed() -> Iterator[Printed]:
    """Every row of the four tables."""
    for judge, tables in JUDGES.items():
        for table in tables:
            for of, found in cells([table]).items():
                yield Printed(judge, table, of, found)


def gap_p(first: float, second: float, answers: int) -> float:
    """p-value of the difference of two shares (in percent) of one multinomial, two-sided, normal approximation."""
    return float(2 * stats.norm.sf(abs(maths.share_z(first, second, answers))))


def chance_p(row: Sequence[float], answers: int) -> float:
    """p-value of the hypothesis that all models are chosen equally often: Pearson's chi-square."""
    expected = answers / len(row)
    statistic = sum((share * answers / 100 - expected) ** 2 / expected for share in row)
    return float(stats.chi2.sf(statistic, len(row) - 1))


def largest_icc(row: Sequence[float], questions: int, raters: int) -> float | None:
    """The correlation of answers to one question up to which CEAE's lead over BN-VAE is significant.

    With design effect 1 + (R - 1) ICC the z of Q R answers shrinks by its root.  None: at no correlation from 0 on.
    1: even when the raters always agree.
    """
    effect = (maths.share_z(*row[:2], questions * raters) / stats.norm.isf(LEVEL / 2)) ** 2
    icc = (effect - 1) / (raters - 1)
    return None if icc < 0 else min(1.0, float(icc))


def published_table() -> Table:
    """Every printed row: counts that fit, interval of CEAE's share, and its lead for two numbers of answers."""
    questions, raters = asked()
    every = list(printed())
    rows = []
    for row in every:
        cell = {"chosen by": row.judge, "models, corpus": Cell(row.of, title=_source(row.table))}
        cell |= {f"share (%) | {model}": share for model, share in zip(MODELS, row.shares, strict=True)}
        for n in (questions, questions * raters):
            low, high = (100 * end for end in shares.wilson(row.shares[0] * n / 100, n))
            found = maths.counts(row.shares, n)
            cell |= {f"n = {n} | p, all equal": _p(chance_p(row.shares, n))} if n == questions else {}
            cell |= {f"n = {n} | counts that fit": Cell(len(found), "; ".join("/".join(map(str, c)) for c in found[:2])
                                                        or "none"),
                     f"n = {n} | CEAE, 95 %": Cell(f"{low:.1f} to {high:.1f}", span(low, high)),
                     f"n = {n} | p, lead": _p(gap_p(*row.shares[:2], n))}
        cell[f"n = {questions * raters} | largest ICC"] = largest_icc(row.shares, questions, raters)
        rows.append(cell)
    return Table(rows, "The printed shares, and what they show for two numbers of answers", [
        f"n: independent answers behind a row; {questions} questions, or {questions} questions times {raters} raters. "
        "Counts that fit: CEAE/BN-VAE/VAE, at most two. Interval: Wilson. p, lead: CEAE against BN-VAE, two-sided; "
        f"all equal: chi-square; bold: not below {LEVEL}. Largest ICC: correlation of the {raters} answers to one "
        f"question up to which the lead has p < {LEVEL}; 1: always. For GPT-4 no number of answers is printed; "
        "the same two are used."],
        "published-shares", digits={f"share (%) | {model}": 1 for model in MODELS})


def differences_table() -> Table:
    """How many of all differences between two models are significant, without and with Holm's correction."""
    questions, raters = asked()
    every, rows = list(printed()), []
    for judges in (["people"], ["GPT-4"], list(JUDGES)):
        group = [row for row in every if row.judge in judges]
        for n in (questions, questions * raters):
            which = [(row, a, b) for row in group for a, b in PAIRS]
            p = [gap_p(row.shares[a], row.shares[b], n) for row, a, b in which]
            kept = holm(p)
            lost = [f"{row.judge}, {row.of}: {MODELS[a]} and {MODELS[b]}"
                    for (row, a, b), value in zip(which, kept, strict=True) if value >= LEVEL]
            lead = [value for (_, a, b), value in zip(which, kept, strict=True) if (a, b) == (0, 1)]
            rows.append({"chosen by": " and ".join(judges), "independent answers": n, "differences": len(p),
                         "p < 0.05": sum(value < LEVEL for value in p),
                         "with Holm": Cell(sum(value < LEVEL for value in kept), title="not: " + "; ".join(lost)),
                         "CEAE before BN-VAE, with Holm": f"{sum(value < LEVEL for value in lead)} of {len(lead)}"})
    return Table(rows, "Differences between two models that are significant", [
        "Three differences in every printed row. Tooltips name those that do not pass."], "published-differences")


def power_panels() -> list[Panel]:
    """Power of the exact test against the number of answers; and answers that a study needs when raters agree."""
    _, raters = asked()
    lines = [Line(f"{100 * gap:.0f} points", CURVE,
                  [power.power(MIDDLE + gap / 2, MIDDLE - gap / 2, n) for n in CURVE], k) for k, gap in enumerate(GAPS)]
    items = [Line(f"{100 * gap:.0f} points", ICCS,
                  [power.answers_needed(MIDDLE + gap / 2, MIDDLE - gap / 2) * power.correlated(raters, icc) / raters
                   for icc in ICCS], k) for k, gap in enumerate(GAPS)]
    return [Panel("Power", "independent answers", "chance to find the difference", lines,
                  {f"{power.WANTED:.0%}": power.WANTED}, logarithmic="x"),
            Panel(f"Items, each answered by {raters} raters", "ICC of the answers to one item", "items needed", items,
                  logarithmic=True)]


def span(low: float, high: float) -> str:
    """An interval of percentages in a cell."""
    return f"{low:.0f}{NARROW}to{NARROW}{high:.0f}"


def _source(table: int) -> str:
    return f"{published.CITATIONS['ceae']}, Table {table}"


def p_text(p: float) -> str:
    """A p-value in a cell."""
    return f"<{NARROW}0.001" if p < 1e-3 else f"{p:.3f}"


def _p(p: float) -> Cell:
    return Cell(p, p_text(p), strong=p >= LEVEL)
