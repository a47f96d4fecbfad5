"""From runs and schedules to the panels of a figure."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ceae_core.report.compare import by_name
from ceae_core.report.figures import Line, Panel, family_style
from ceae_core.report.results import Result
from ceae_core.report.tables import Download, Table
from ceae_core.schedules import Clock

VALID_REC, VALID_KL = "valid_rec_nats_per_sentence", "valid_kl_nats"


def data(panels: Sequence[Panel], name: str) -> Download:
    """The points of a figure's curves, as a download, with the edges of the bands where there are any."""
    is_banded = any(line.spread for panel in panels for line in panel.lines)
    x_name, y_name = (names.pop() if len(names) == 1 else other for names, other in (
        ({panel.x for panel in panels}, "x"), ({panel.y for panel in panels}, "y")))
    rows = [{"panel": panel.title, "curve": line.label, x_name: float(x), y_name: float(y),
             **({"lowest": low, "highest": high} if is_banded else {})}
            for panel in panels for line in panel.lines
            for x, y, low, high in zip(line.x, line.y, *(line.spread or ([None] * len(line.x),) * 2), strict=True)]
    return Download(Table(rows, name, name=name))


def epochs(result: Result, *keys: str) -> tuple[list[float], list[float]]:
    """Epochs and the sum of the named columns of the history; epochs in which one is missing are left out."""
    rows = [row for row in result.history if all(row.get(key) is not None for key in keys)]
    return [row["epoch"] for row in rows], [sum(row[key] for key in keys) for row in rows]


def learning(results: Sequence[Result], floor: float | None) -> list[Panel]:
    """Validation Rec of every family, and Rec + KL of those that have one (a language model's Rec is its -log p)."""
    groups = {name: group[0] for name, group in by_name(results).items()}
    rec = [Line(name, *epochs(r, VALID_REC), family_style(name)) for name, r in groups.items()]
    bound = [Line(name, *epochs(r, *((VALID_REC,) if r.family == "lstm-lm" else (VALID_REC, VALID_KL))),
                  family_style(name)) for name, r in groups.items()]
    levels = {} if floor is None else {"truth": floor}
    unit = "nats per sentence"
    return [Panel("Rec", "epoch", unit, rec, levels),
            Panel("−ELBO = Rec + KL", "epoch", unit, [line for line in bound if line.x], levels)]


def schedule(title: str, unit: str, functions: Mapping[str, Callable[[Clock], float]], upto: float,
             steps_per_epoch: int = 20) -> Panel:
    """Weights or noise over schedule epochs."""
    times = np.arange(int(upto * steps_per_epoch))
    lines = [Line(label, times / steps_per_epoch, [f(Clock(int(t), steps_per_epoch)) for t in times], i)
             for i, (label, f) in enumerate(functions.items())]
    return Panel(title, "schedule epochs done", unit, lines)


def validation(results: Mapping[str, Result]) -> list[Panel]:
    """Validation Rec by epoch of runs under labels of the caller's."""
    return [Panel("", "epoch", "Rec (nats), validation", [Line(label, *epochs(r, VALID_REC), i)
                                                          for i, (label, r) in enumerate(results.items())])]


def variance_trap(results: Mapping[str, Result], epsilon: float, bounds: Mapping[str, float]) -> list[Panel]:
    """The smallest raw variance of a code unit before batch norm against its epsilon; the KL against its bound."""
    def lines(key: str) -> list[Line]:
        return [Line(label, *epochs(r, key), i) for i, (label, r) in enumerate(results.items())]
    return [Panel("Raw variance of the code", "epoch", "smallest variance", lines("code_variance_min"),
                  {"epsilon of batch norm": epsilon}, logarithmic=True),
            Panel("KL", "epoch", "KL (nats), validation", lines(VALID_KL), bounds)]
