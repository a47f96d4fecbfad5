"""Estimated and exact divergences of implicit models over their training (clvm, Figure 3)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ceae_core import scales, zoo
from ceae_core.report.compare import by_name, run_cell
from ceae_core.report.dual import nats, shown
from ceae_core.report.figures import Line, Panel
from ceae_core.report.results import Result
from ceae_core.report.tables import Download, Table
from ceae_core.report.truth import Floor
from ceae_core.training import WATCHED

DUAL, EXACT, SHARE = "valid_{}_dual_nats", "valid_{}_exact_nats", "valid_dual_negative_share"
REC = "valid_rec_nats_per_sentence"
EXPLODED = -100.0           # nats
COLUMNS = ("kl_dual", "kl_dv", "kl_exact", "mi_dual", "mi_exact")


def as_printed(results: Sequence[Result]) -> list[Panel]:
    """The paper's Figure 3: KL and MI by the critics, a curve per model and seed."""
    groups = by_name(results)
    panels = []
    for quantity in ("kl", "mi"):
        lines = []
        for i, (name, group) in enumerate(groups.items()):
            for result in group:
                epochs, values = column(result, DUAL.format(quantity))
                lines.append(Line(name, epochs, shown(values), i))
        name = quantity.upper()
        panels.append(Panel(f"{name} by the critics", "epoch", f"{name} (nats)", lines, {"": 0.0},
                            logarithmic=_axis(results, quantity)))
    return panels


def over_epochs(results: Sequence[Result], quantity: str) -> list[Panel]:
    """A panel per model with the critic's estimate and the exact value of its `quantity`, kl or mi, by epoch.

    One curve per seed; the exact one is left out where the noise head has no density.  MI has a ceiling, log of the
    number of sentences.  The axis becomes logarithmic at its ends when an estimate is below EXPLODED.
    """
    panels = []
    for name, group in by_name(results).items():
        lines = []
        for label, key, style in (("by the critics", DUAL, 0), ("exact", EXACT, 1)):
            for result in group:
                epochs, values = column(result, key.format(quantity))
                if epochs:
                    lines.append(Line(label, epochs, shown(values), style))
        count = watched(group[0])
        ceiling = {f"log {count:,}": math.log(count)} if quantity == "mi" else {}
        panels.append(Panel(name.replace(" (", "\n("), "epoch", f"{quantity.upper()} (nats)", lines,
                            {"": 0.0} | ceiling, logarithmic=_axis(results, quantity)))
    return panels


def _axis(results: Sequence[Result], quantity: str) -> bool | str:
    every = [value for result in results for value in column(result, DUAL.format(quantity))[1]]
    return "symmetric" if min(every, default=0.0) < EXPLODED else False


def exact_panel(results: Sequence[Result]) -> Panel:
    """The exact KL of every run by epoch in one panel."""
    groups = by_name(results)
    lines = [Line(name, *column(result, EXACT.format("kl")), i) for i, (name, group) in enumerate(groups.items())
             for result in group]
    return Panel("", "epoch", "exact KL (nats)", [line for line in lines if line.x])


def has_critics(result: Result) -> bool:
    """Whether the divergence of the run's family is estimated by critics."""
    return zoo.family(result.family).critics is not None


def column(result: Result, key: str) -> tuple[list[int], list[float]]:
    """Epochs and a column of the history; epochs that lack it are left out."""
    rows = [row for row in result.history if row.get(key) is not None]
    return [row["epoch"] for row in rows], [row[key] for row in rows]


def watched(result: Result) -> int:
    """Validation sentences on which the estimates of a run were followed."""
    limits = scales.scale(result.scale).sentences
    return min(WATCHED, limits["valid"]) if limits else WATCHED


def download(results: Sequence[Result], name: str) -> Download:
    """All estimates of all runs by epoch."""
    rows = [{"model": result.name, "seed": result.seed, "run": result.id, "epoch": row["epoch"],
             **{f"{key} (nats)": row.get(f"valid_{key}_nats") for key in COLUMNS},
             "negative groups (share)": row.get(SHARE), "Rec (nats)": row[REC]}
            for result in results for row in result.history]
    return Download(Table(rows, name, name=name))


def summary(results: Sequence[Result], caption: str, name: str) -> Table:
    """One row per run: what its critics said over the epochs, and what is true, on validation sentences."""
    rows = []
    for result in results:
        row: dict[str, Any] = {"model": result.name, "seed": result.seed, "epochs": len(result.history)}
        last = result.history[-1] if result.history else {}
        dual = column(result, DUAL.format("kl"))[1]
        exact = last.get(EXACT.format("kl"))
        row |= {"KL by the critic | last": nats(dual[-1] if dual else None),
                "KL by the critic | lowest epoch": nats(min(dual, default=None)),
                "KL by the critic | negative groups, at most (%)":
                    100 * max(column(result, SHARE)[1], default=0.0) if dual else None,
                "KL, exact | last": exact,
                "KL, exact | estimate (%)": 100 * dual[-1] / exact if dual and exact else None,
                "MI | by the critics": nats(last.get(DUAL.format("mi"))), "MI | exact": last.get(EXACT.format("mi")),
                "Rec": last.get(REC), "run": run_cell([result])}
        rows.append(row)
    notes = [f"Nats per sentence, {watched(results[0]):,} validation sentences, with all of the KL counted (weight 1). "
             "Negative groups: share of groups of 32 sentences whose estimate is below 0, the highest of all epochs. "
             "Exact: closed form of a linear noise head; an MLP head has none."] if results else []
    return Table(rows, caption, notes, name)


def statements(results: Mapping[str, Sequence[Result]]) -> Table:
    """What the paper's text says about its Figure 3, and what runs say about it: header -> runs."""
    claims = (("KL of iVAE turns negative", "ivae", lambda group: _below_zero(group, "kl")),
              ("MI of iVAE turns negative", "ivae", lambda group: _below_zero(group, "mi")),
              ("KL of cVAE is more stable", "cvae", lambda group: _below_zero(group, "kl")),
              ("KL of cVAE+ with MI never falls below 0", "cvae+-mi", lambda group: _below_zero(group, "kl")),
              ("KL of cVAE+ with MI grows with the epochs", "cvae+-mi", _course))
    rows = [{"statement (sec. 4.3)": claim,
             **{header: test([r for r in runs if r.family == family]) for header, runs in results.items()}}
            for claim, family, test in claims]
    return Table(rows, "The paper's statements on its Figure 3", [
        "By the critics, on validation sentences; all seeds together. An arrow: from the first epoch to the last, of "
        "each seed."], "figure-3-statements")


def _below_zero(group: Sequence[Result], quantity: str) -> str:
    values = [column(result, DUAL.format(quantity))[1] for result in group]
    every = [value for run in values for value in run]
    if not every:
        return "no run"
    lowest = nats(min(every))
    return f"{sum(v < 0 for v in every)} of {len(every)} epochs, lowest {lowest.text or _number(lowest.value)}"


def _course(group: Sequence[Result]) -> str:
    """First and last epoch of estimate and exact value."""
    def course(result: Result, key: str) -> str:
        values = column(result, key.format("kl"))[1]
        return f"{_number(values[0])} → {_number(values[-1])}" if values else "unknown"
    said = [f"estimate {course(result, DUAL)}, exact {course(result, EXACT)}" for result in group if result.history]
    return "; ".join(said) or "no run"


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def price(results: Sequence[Result], refitted: Mapping[str, float], floor: Floor | None, caption: str, name: str,
          ) -> Table:
    """Test measures of each run with every estimate of its KL, by id the highest of refitted critics (`refitted`).

    At least the KL is the floor less Rec: Rec + KL is a bound on -log p(x), whose mean cannot be below the truth's.
    """
    rows = []
    for result in results:
        rec = result.metric(REC.removeprefix("valid_"))
        least = None if floor is None or rec is None else max(0.0, floor.test - rec)
        rows.append({"model": result.name, "Rec": rec, "KL by | its critic": nats(result.metric("kl_dual_nats")),
                     "KL by | critics refitted": nats(refitted.get(result.id)),
                     "KL by | closed form": result.metric("kl_exact_nats"), "KL by | floor − Rec, at least": least,
                     "all sentences | −ELBO, its critic": nats(result.metric("nelbo_dual_nats_per_sentence")),
                     "all sentences | −ELBO, closed form": result.metric("nelbo_exact_nats_per_sentence"),
                     "all sentences | floor": floor and floor.test,
                     "the first of them | IW bound": result.metric("nll_iw_nats"),
                     "the first of them | floor": floor and floor.first,
                     "run": run_cell([result])})
    return Table(rows, caption, ["Nats per sentence of the test split. The IW bound is computed on its first "
                                 "sentences, whose floor stands beside it."], name)
