"""Comparison tables: measures of several runs, and published | recorded | this build side by side."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ceae_core.errors import CeaeError
from ceae_core.manifest import COMPLETE
from ceae_core.report.results import LABELS, Result
from ceae_core.report.tables import MISSING, Cell, Table

HASH_DIGITS = 8
SHARES_NOTE = "Mean ± standard deviation over seeds; (n/N): n of N runs are complete, the others diverged."
DASH_NOTE = f"Nats are per sentence, its end counted. {MISSING}: the family has no such quantity."


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


def numbers(group: Sequence[Result], metric: str) -> list[float]:
    """The measure of every complete run of a group; empty where the family has no such quantity."""
    found = [r.metric(metric) for r in group if r.status == COMPLETE]
    return [] if None in found else found


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
    if len(set(values)) == 1 and isinstance(values[0], int):
        return Cell(mean, f"{values[0]} ({len(complete)}/{len(group)})", title)
    spread = f" ± {np.std(values, ddof=1):.{places}f}" if len(values) > 1 else ""
    return Cell(mean, f"{mean:.{places}f}{spread} ({len(complete)}/{len(group)})".replace("-", "−"), title)


def run_cell(group: Sequence[Result]) -> Cell:
    """The first digits of each run's hash, by which `ceae measure` and others find it; the whole ids as a tooltip."""
    return Cell("; ".join(r.id for r in group), ", ".join(r.id.rsplit("-", 1)[-1][:HASH_DIGITS] for r in group),
                "; ".join(r.id for r in group))


def measures(groups: Mapping[str, Sequence[Result]], metrics: Sequence[str], caption: str, name: str,
             more: Mapping[str, Mapping[str, Cell | float]] | None = None, notes: Sequence[str] = ()) -> Table:
    """One row per group (see `by_name`), one column per measure; `more` adds columns: header -> row name -> value."""
    rows = [{"family": family,
             **{LABELS[m]: summary(group, m) for m in metrics},
             **{header: values.get(family) for header, values in (more or {}).items()},
             "run": run_cell(group)} for family, group in groups.items()]
    several = any(len(group) > 1 for group in groups.values())
    return Table(rows, caption, [*notes, *([SHARES_NOTE] if several else []), DASH_NOTE], name)


def columns(results: Iterable[Result], metrics: Sequence[str]) -> dict[str, dict[str, list[float] | None]]:
    """For a bar chart: header -> name -> values over complete seeds, None where the family has no such quantity."""
    def values(group: Sequence[Result], metric: str) -> list[float] | None:
        found = [r.metric(metric) for r in group if r.status == COMPLETE]
        return None if found and found[0] is None else found
    groups = by_name(results)
    return {LABELS[metric]: {name: values(group, metric) for name, group in groups.items()} for metric in metrics}


def of_names(values: Mapping[str, Mapping[str, float]], caption: str, name: str, places: int = 2) -> Table:
    """Header -> family -> number as a table."""
    families = dict.fromkeys(family for column in values.values() for family in column)
    rows = [{"family": family, **{header: column.get(family) for header, column in values.items()}}
            for family in families]
    return Table(rows, caption, name=name, places=places)


def provenance(groups: Mapping[str, Sequence[Result]], caption: str, name: str) -> Table:
    """Which run is behind a row: where and how long it trained, how many epochs it was given."""
    rows = [{"family": family, "seed": r.seed, "status": r.status, "epochs": len(r.history),
             "training (min)": r.seconds / 60, "machine": r.device, "run": Cell(r.id)}
            for family, group in groups.items() for r in group]
    return Table(rows, caption, name=name, places=1)
