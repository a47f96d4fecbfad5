"""What several seeds of our own runs show: spread, intervals of every kind, tests between families."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from ceae_core.manifest import COMPLETE
from ceae_core.report import intervals
from ceae_core.report.compare import by_name, numbers, run_cell
from ceae_core.report.figures import Line, Panel
from ceae_core.report.intervals import Summary
from ceae_core.report.results import LABELS, Result
from ceae_core.report.seeds import p_cell
from ceae_core.report.tables import Cell, Table

REC, BOUND = "rec_nats_per_sentence", "nll_iw_nats"
FEWEST = 5                  # seeds from which a spread is taken for known


def of_seeds(results: Sequence[Result], families: Sequence[str], wanted: Sequence[int] | None = None) -> list[Result]:
    """Those among `results` that train one of the families as its row says, with one of the wanted seeds (None: with
    any), in the order of families and seeds."""
    return sorted((r for r in results if r.family in families and r.is_row(r.family, {})
                   and (wanted is None or r.seed in wanted)), key=lambda r: (families.index(r.family), r.seed))


def count(group: Sequence[Result], wanted: Sequence[int]) -> Cell:
    """n/N: complete runs of those that were wanted; what became of the others is the tooltip."""
    done = {r.seed for r in group if r.status == COMPLETE}
    diverged = {r.seed: r.reason for r in group if r.status != COMPLETE}
    lost = [f"seed {seed}: {'diverged, ' + diverged[seed] if seed in diverged else 'no run'}"
            for seed in wanted if seed not in done]
    return Cell(f"{len(done)}/{len(wanted)}", title="; ".join(lost), strong=bool(lost))


def spread_table(results: Sequence[Result], metric: str, wanted: Sequence[int], name: str) -> Table:
    """Every family over its seeds: how many there are, and every interval of the measure; of the bound also its
    standard error over the sentences on which it was measured."""
    rows = []
    for family, group in by_name(results).items():
        found = numbers(group, metric)
        row = {"family": family, "n/N": count(group, wanted), "mean": float(np.mean(found)) if found else None}
        enough = len(found) > 1
        row["sd"] = float(np.std(found, ddof=1)) if enough else None
        for label, make in (("percentiles of runs", intervals.percentile_range), ("mean, t", intervals.t_interval),
                            ("mean, bootstrap", intervals.bootstrap_interval)):
            low, high = make(found) if enough else (None, None)
            row[f"90 % | {label}"] = Cell(high - low, f"{low:.2f} to {high:.2f}") if enough else None
        row["lowest to highest"] = Cell(np.ptp(found), f"{min(found):.2f} to {max(found):.2f}") if found else None
        if metric == BOUND:
            row["error over sentences"] = float(np.mean(numbers(group, "nll_iw_se"))) if found else None
        rows.append(row | {"run": run_cell(group)})
    seeds = f"{min(wanted)} to {max(wanted)}" if len(wanted) > 1 else str(wanted[0])
    return Table(rows, f"{LABELS[metric]} over seeds {seeds}", [
        "n/N: complete runs of those wanted (bold: some are missing; which, as a tooltip); statistics are of the n. "
        "Percentiles of runs: from the 5th to the 95th, where one run lies. The other two are confidence intervals of "
        "the mean."], name)


def pairs_table(results: Sequence[Result], metrics: Sequence[str], name: str) -> Table:
    """Welch's test for all pairs of families and every measure, corrected by Holm over the whole table."""
    groups, rows = by_name(results), []
    for metric in metrics:
        found = {family: numbers(group, metric) for family, group in groups.items()}
        for a, b in combinations([family for family, values in found.items() if len(values) > 1], 2):
            test = intervals.welch(Summary.of(found[a]), Summary.of(found[b]))
            rows.append({"measure": LABELS[metric], "first": a, "second": b, "difference": test.difference,
                         "sd | first": float(np.std(found[a], ddof=1)), "sd | second": float(np.std(found[b], ddof=1)),
                         "seeds": f"{len(found[a])}, {len(found[b])}", "t": test.statistic, "p | Welch": test.p})
    for row, adjusted in zip(rows, intervals.holm([row["p | Welch"] for row in rows]) if rows else [], strict=True):
        row |= {"p | Welch": p_cell(row["p | Welch"]), "p | after Holm": p_cell(adjusted)}
    notes = ["Difference: first minus second, nats per sentence. Holm over all rows of this table."]
    return Table(rows, "Differences between families over seeds", notes, name,
                 digits={"sd | first": 3, "sd | second": 3, "t": 1})


def deviations(results: Sequence[Result], metrics: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """For `figures.one_axis`: measure -> family -> every seed minus the family's mean."""
    groups = by_name(results)
    out: dict[str, dict[str, list[float]]] = {LABELS[metric]: {} for metric in metrics}
    for metric in metrics:
        for family, group in groups.items():
            found = numbers(group, metric)
            out[LABELS[metric]][family] = [value - float(np.mean(found)) for value in found]
    return out


def widths_panels(results: Sequence[Result], metric: str) -> list[Panel]:
    """Width of each kind of interval from the first n seeds, against n; a panel per family with enough seeds."""
    kinds = {"percentiles of runs": intervals.percentile_range, "mean, t": intervals.t_interval,
             "mean, bootstrap": intervals.bootstrap_interval}
    panels = []
    for family, group in by_name(results).items():
        found = numbers(sorted(group, key=lambda r: r.seed), metric)
        counts = list(range(3, len(found) + 1))
        if len(found) >= FEWEST:
            panels.append(Panel(family, "first n seeds", f"width, {LABELS[metric]}", [
                Line(label, counts, [make(found[:n]).width for n in counts], i)
                for i, (label, make) in enumerate(kinds.items())]))
    return panels


def sds(results: Sequence[Result], metric: str) -> dict[str, float]:
    """Family -> sd of a measure over seeds, of families with FEWEST complete seeds; of several options the largest."""
    out: dict[str, float] = {}
    for group in by_name(results).values():
        if len(found := numbers(group, metric)) >= FEWEST:
            out[group[0].family] = max(out.get(group[0].family, 0.0), float(np.std(found, ddof=1)))
    return out


def selection(n: int, draws: int = 100_000, seed: int = 0) -> Mapping[str, float]:
    """How n runs become one number -> by how many sd it misses the true mean on average, smaller being better."""
    values = np.random.default_rng(seed).standard_normal((draws, n + 1))
    runs, fixed = values[:, :n], values[:, n]
    kept = np.sort(runs, 1)[:, :-1]
    return {"all are averaged": float(runs.mean()), "the worst is dropped and the rest averaged": float(kept.mean()),
            "the better of one more run and the average is kept": float(np.minimum(fixed, runs.mean(1)).mean()),
            "the best is kept": float(runs.min(1).mean())}


def selection_table(n: int) -> Table:
    """`selection` as a table."""
    rows = [{f"of {n} runs": text, "error of the reported number (sd)": value} for text, value in selection(n).items()]
    return Table(rows, "What choosing among seeds does to a number of which less is better",
                 ["Mean over simulated sets of normal runs, in units of the sd of one run."], "selection")
