"""Comparison tables: measures of several runs, and published | recorded | this build side by side."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ceae_core.errors import CeaeError
from ceae_core.report import published
from ceae_core.report.results import LABELS, Result, matching, zoo_row
from ceae_core.report.tables import MISSING, Cell, Table
from ceae_core.manifest import COMPLETE

SHARES_NOTE = "Mean ± standard deviation over seeds; (n/N): n of N runs are complete, the others diverged."
DASH_NOTE = f"{MISSING}: the family has no such quantity."


def by_name(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Runs grouped by family and option, in order of appearance.

    Raises CeaeError when two of a group have the same seed: they differ in settings and must not be averaged.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.name, []).append(result)
    for name, group in groups.items():
        seeds = [r.seed for r in group]
        if len(set(seeds)) < len(seeds):
            raise CeaeError(f"{name}: two runs with one seed ({', '.join(r.id for r in group)}); show them apart")
    return groups


def summary(group: Sequence[Result], metric: str, places: int = 2) -> Cell:
    """A measure over the seeds of a group, its tooltip the ids of the runs; never an average that hides a lost seed."""
    complete = [r for r in group if r.status == COMPLETE]
    title = "; ".join(r.id if r.status == COMPLETE else f"{r.id} diverged: {r.reason}" for r in group)
    if not complete:
        return Cell(None, "diverged", title)
    values = [r.metric(metric) for r in complete]
    if any(v is None for v in values):
        return Cell(None, title=title)
    mean = float(np.mean(values))
    if len(group) == 1:
        return Cell(values[0], title=title)
    spread = f" ± {np.std(values, ddof=1):.{places}f}" if len(values) > 1 else ""
    return Cell(mean, f"{mean:.{places}f}{spread} ({len(complete)}/{len(group)})".replace("-", "−"), title)


def run_cell(group: Sequence[Result]) -> Cell:
    """The hashes by which `ceae runs list` finds the runs; the whole ids as a tooltip."""
    return Cell("; ".join(r.id for r in group), ", ".join(r.id.rsplit("-", 1)[-1] for r in group),
                "; ".join(r.id for r in group))


def measures(results: Iterable[Result], metrics: Sequence[str], caption: str, name: str,
             more: Mapping[str, Mapping[str, Cell | float]] | None = None, notes: Sequence[str] = ()) -> Table:
    """One row per family and option, one column per measure; `more` adds columns: header -> row name -> value."""
    groups = by_name(results)
    rows = [{"family": family,
             **{LABELS[m]: summary(group, m) for m in metrics},
             **{header: values.get(family) for header, values in (more or {}).items()},
             "run": run_cell(group)} for family, group in groups.items()]
    several = any(len(group) > 1 for group in groups.values())
    return Table(rows, caption, [*notes, *([SHARES_NOTE] if several else []), DASH_NOTE], name)


def with_paper(paper: str, table: int, cells: Sequence[tuple[str, str]], recorded: Sequence[Result],
               built: Sequence[Result], metrics: Sequence[str], caption: str, name: str) -> Table:
    """Every row of a published table with its `cells` (dataset, metric), then `metrics` of recorded and built runs.

    A row that the zoo does not have yet says so; a run that is not recorded shows as "not recorded".  Raises CeaeError
    when the zoo has the row and this build did not train it.
    """
    rows = []
    for key in published.rows(paper, table):
        _, _, model, variant = key.split(":")
        row: dict = {"model": f"{model} ({variant})" if variant else model}
        for dataset, metric in cells:
            printed = published.cell(key, dataset, metric)
            row[f"published | {dataset} {metric} ({printed.unit})"] = Cell(
                printed.value, f"{printed.value:g}" if printed.value % 1 else f"{printed.value:.1f}",
                printed.citation, strong=printed.bold)
        for source, results in (("recorded", recorded), ("this build", built)):
            group = matching(key, results)
            if source == "this build" and zoo_row(key) and not group:
                raise CeaeError(f"{key}: the zoo has this row but the chapter asked for no run of it")
            lacking = Cell(None, "not in the zoo yet" if zoo_row(key) is None else "not recorded")
            by_name(group)
            corpus = _where(results)
            for metric in metrics:
                row[f"{source}{corpus} | {LABELS[metric]}"] = summary(group, metric) if group else lacking
        row["this build" + _where(built) + " | run"] = run_cell(matching(key, built))
        rows.append(row)
    citation = published.CITATIONS[paper]
    return Table(rows, caption, [f"Published: {citation}, Table {table}; bold as there.", DASH_NOTE], name)


def _where(results: Sequence[Result]) -> str:
    """Corpus and scale that results share."""
    places = {f", {r.corpus} at {r.scale}" for r in results}
    return places.pop() if len(places) == 1 else ""


def rank_agreement(first: Mapping[str, float], second: Mapping[str, float]) -> tuple[float, list[tuple[str, str]], int]:
    """Kendall's tau-b between two columns over the rows they share, the pairs that they order differently, their number.

    Raises CeaeError when they share fewer than three rows.
    """
    from itertools import combinations

    from scipy.stats import kendalltau
    shared = [row for row in first if row in second]
    if len(shared) < 3:
        raise CeaeError(f"rank agreement: only {len(shared)} rows have both numbers; at least 3 are needed")
    flipped = [(a, b) if first[a] < first[b] else (b, a) for a, b in combinations(shared, 2)
               if (first[a] - first[b]) * (second[a] - second[b]) < 0]
    tau = kendalltau([first[r] for r in shared], [second[r] for r in shared]).statistic
    return float(tau), flipped, len(shared) * (len(shared) - 1) // 2
