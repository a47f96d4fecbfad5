"""The figures of the book in one style: Okabe and Ito's colour-blind palette with line styles and markers besides.

A function returns a `Picture`, which a notebook shows as PNG on white ground, whatever the theme of the page.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import cycle
from typing import Any

import numpy as np

from ceae_core import zoo

# Okabe and Ito; their yellow darkened to be seen on white, and a grey
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A7500", "#999999")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")
GREY = "#555555"
WIDTH = 7.2                 # inches; all figures fill the column of a page
RESOLUTION = 160            # dots per inch
COUNTED = ("epoch", "member")           # what an axis shows in whole numbers
LINEAR = 10.0               # a symmetric logarithmic axis is linear from minus this to this
STYLE = {
    "font.size": 10, "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "axes.edgecolor": GREY, "lines.linewidth": 1.8,
    "lines.markersize": 5, "legend.frameon": False, "legend.fontsize": 9, "legend.handlelength": 2.6,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
}


class Picture:
    """A finished figure."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure

    def __repr__(self) -> str:
        return f"Picture({', '.join(ax.get_title() or ax.get_ylabel() for ax in self.figure.axes)})"

    def _repr_png_(self) -> bytes:
        out = BytesIO()
        self.figure.savefig(out, format="png", dpi=RESOLUTION, bbox_inches="tight", pad_inches=0.15)
        return out.getvalue()


@dataclass(frozen=True)
class Line:
    """A curve with its label; `style` counts through the palette, `alone` draws markers without a line.

    `spread` is a band around it: its lower and its upper edge.  A `plain` one is grey without markers, to compare with.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: int = 0
    alone: bool = False
    spread: tuple[Sequence[float], Sequence[float]] | None = None
    plain: bool = False


@dataclass(frozen=True)
class Panel:
    """One set of axes: curves, and horizontal lines with their labels."""

    title: str
    x: str                                          # what the axis shows, with its unit
    y: str
    lines: Sequence[Line]
    levels: Mapping[str, float] = field(default_factory=dict)
    logarithmic: bool | str = False                 # True: the y axis; "x"; "both"; "symmetric": y, see LINEAR
    steps: bool = False                             # hold each value to the next point
    lowest: float | None = None                     # where the y axis ends at the latest


def styled(function: Callable[..., Any]) -> Callable[..., Picture]:
    """Run a drawing function in the book's style and make its figure a picture."""
    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Picture:
        import matplotlib
        with matplotlib.rc_context(STYLE):
            return Picture(function(*args, **kwargs))
    return draw


def subplots(rows: int, columns: int, height: float, **options: Any) -> tuple[Any, np.ndarray]:
    """A figure that pyplot does not know, and its axes as a flat array."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options).ravel()


def family_style(name: str) -> int:
    """The place of a family in the palette, the same on every page; `name` may go on with an option in brackets."""
    known = list(zoo.FAMILIES)
    family = name.split(" ")[0]
    return (known.index(family) if family in known else len(known)) + 2


@styled
def curves(panels: Sequence[Panel], columns: int = 2, height: float = 2.9, same_y: bool = False) -> Any:
    """Curves in panels, a legend in each that has more than one; curves of one label count as one there."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = subplots(rows, columns, height * rows, sharey=same_y)
    for ax, panel in zip(axes, panels, strict=False):
        for line in panel.lines:
            colour = GREY if line.plain else PALETTE[line.style % len(PALETTE)]
            dash, is_marked = DASHES[line.style % len(DASHES)], line.alone or len(line.x) <= 12
            marker = MARKERS[line.style % len(MARKERS)] if is_marked and not line.plain else None
            seen = line.label in ax.get_legend_handles_labels()[1]
            ax.plot(line.x, line.y, label=None if seen else line.label, color=colour, marker=marker,
                    linestyle="" if line.alone else dash, drawstyle="steps-post" if panel.steps else "default")
            if line.spread:
                ax.fill_between(line.x, *line.spread, color=colour, alpha=0.15, linewidth=0)
        if panel.logarithmic == "symmetric":
            ax.set_yscale("symlog", linthresh=LINEAR)
        elif panel.logarithmic in (True, "both"):
            ax.set_yscale("log")
        if panel.logarithmic in ("x", "both"):
            ax.set_xscale("log")
        _levels(ax, panel.levels)
        if panel.lowest is not None:
            ax.set_ylim(bottom=max(panel.lowest, ax.get_ylim()[0]))
        inner = same_y and ax.get_subplotspec().colspan.start > 0
        ax.set(title=panel.title, xlabel=panel.x, ylabel="" if inner else panel.y)
        if panel.x in COUNTED:
            ax.set_xticks(sorted({x for line in panel.lines for x in line.x if x == int(x)}))
    for ax in axes[len(panels):]:
        ax.remove()
    _legends(figure, axes[:len(panels)])
    return figure


def _legends(figure: Any, axes: Sequence[Any]) -> None:
    """One legend below all panels when the first has every label, else one in each panel with several curves."""
    labels = [ax.get_legend_handles_labels()[1] for ax in axes]
    if len(labels[0]) > 1 and all(set(own) <= set(labels[0]) for own in labels):
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(5, len(labels[0])))
        return
    for ax, own in zip(axes, labels, strict=True):
        if len(own) > 1:
            ax.legend()


def _levels(ax: Any, levels: Mapping[str, float]) -> None:
    """Horizontal lines, each labelled on it at the right, legible also across curves."""
    from matplotlib.patheffects import withStroke
    for label, value in levels.items():
        ax.axhline(value, color=GREY, linewidth=1.2, linestyle=(0, (1, 1.5)), zorder=1)
        ax.annotate(label, (1, value), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
                    ha="right", va="bottom", fontsize=8.5, color=GREY, zorder=4,
                    path_effects=[withStroke(linewidth=2.5, foreground="white")])


@styled
def bars(columns: Mapping[str, Mapping[str, Sequence[float] | None]], height: float = 0.0) -> Any:
    """Horizontal bars, one panel per measure: header with unit -> name -> values over seeds (None: no such quantity).

    The bar is the mean, the points are the seeds; the number stands at the bar's end.
    """
    names = list(next(iter(columns.values())))
    figure, axes = subplots(1, len(columns), height or 0.9 + 0.34 * len(names), sharey=True)
    for ax, (header, values) in zip(axes, columns.items(), strict=True):
        given = [v for vs in values.values() for v in vs or ()]
        low, high = min([0.0, *given]), max([0.0, *given]) or 1.0
        for row, name in enumerate(names):
            numbers = values[name]
            if not numbers:
                ax.annotate("no such quantity" if numbers is None else "diverged", (0, row), xytext=(4, 0),
                            textcoords="offset points", va="center", fontsize=8, color=GREY, style="italic")
                continue
            mean = float(np.mean(numbers))
            ax.barh(row, mean, color=PALETTE[family_style(name) % len(PALETTE)], height=0.62)
            if len(numbers) > 1:
                ax.plot(numbers, [row] * len(numbers), "o", color="black", markersize=2.6, zorder=3)
            text = f"{mean:.0f}" if all(isinstance(v, int) for v in numbers) else f"{mean:.2f}"
            ax.annotate(text.replace("-", "−"), (max([mean, 0.0, *numbers]), row), xytext=(4, 0),
                        textcoords="offset points", va="center", fontsize=8.5)
        ax.set(xlabel=header, xlim=(low * 1.1, low + (high - low) * 1.28))
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    return figure


@styled
def one_axis(values: Mapping[str, Mapping[str, Sequence[float]]], axis: str, zero: str | None,
             height: float = 0.0, linear: float | None = None) -> Any:
    """Measures of each family on one axis: measure -> name -> values over seeds; `zero` labels a line at 0.

    With `linear` the axis is linear up to that distance from 0 and logarithmic beyond.
    """
    names = list(dict.fromkeys(name for column in values.values() for name in column))
    figure, (ax,) = subplots(1, 1, height or 1.3 + 0.42 * len(names))
    for i, (measure, column) in enumerate(values.items()):
        beside = 0.17 * (i - (len(values) - 1) / 2)
        rows = [names.index(name) + beside for name, numbers in column.items() for _ in numbers]
        points = [v for numbers in column.values() for v in numbers]
        ax.plot(points, rows, linestyle="", marker=MARKERS[i], color=PALETTE[i], markersize=6.5, label=measure,
                markerfacecolor="none" if i == 0 else PALETTE[i], markeredgewidth=1.6)
    if linear:
        ax.set_xscale("symlog", linthresh=linear, linscale=2.0)
        ax.xaxis.set_major_formatter("{x:g}")
    if zero:
        ax.axvline(0, color=GREY, linewidth=1.4)
        ax.annotate(zero, (0, 1), xycoords=("data", "axes fraction"), xytext=(4, 3), textcoords="offset points",
                    fontsize=8.5, color=GREY)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=axis, ylim=(len(names) - 0.5, -0.5))
    figure.legend(loc="outside lower center", ncols=len(values))
    return figure


@styled
def length_histogram(lengths: Sequence[int], exact: Sequence[float] | None, height: float = 2.8) -> Any:
    """Words per sentence: shares in the corpus as bars, the grammar's exact probabilities (T + 1,) as points."""
    figure, (ax,) = subplots(1, 1, height)
    counts = np.bincount(lengths)
    ax.bar(range(len(counts)), counts / counts.sum(), color=PALETTE[5], label="sentences of the training split")
    if exact is not None:
        ax.plot(range(len(exact)), exact, "o", color=PALETTE[1], markersize=4, label="exact, from the grammar")
    ax.set(xlabel="length (words, without the end symbol)", ylabel="share of sentences",
           xlim=(max(0, min(lengths) - 1.5), max(lengths) + 1))
    ax.grid(axis="x", visible=False)
    ax.legend()
    return figure


@styled
def scatter(panels: Mapping[str, np.ndarray], groups: np.ndarray | None, axis: str, height: float = 2.7) -> Any:
    """Points (N, 2) in one panel each on equal scales, coloured by group; the dashed circle holds 95 % of N(0, I)."""
    from matplotlib.patches import Circle
    figure, axes = subplots(1, len(panels), height, sharex=True, sharey=True)
    reach = max(2.6, float(np.quantile(np.abs(np.concatenate(list(panels.values()))), 0.998)))
    kinds = np.unique(groups) if groups is not None else [None]
    for ax, (title, points) in zip(axes, panels.items(), strict=True):
        for kind, colour, marker in zip(kinds, cycle(PALETTE), cycle(MARKERS)):
            chosen = points if kind is None else points[groups == kind]
            ax.plot(*chosen.T, linestyle="", marker=marker, markersize=2.4, alpha=0.45, color=colour, markeredgewidth=0,
                    label=kind)
        ax.add_patch(Circle((0, 0), np.sqrt(-2 * np.log(0.05)), fill=False, linestyle="--", color=GREY, linewidth=1.2))
        ax.set(title=title, xlabel=f"{axis} 1", xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes[0].set_ylabel(f"{axis} 2")
    if len(kinds) > 1:
        handles, labels = axes[0].get_legend_handles_labels()
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=len(kinds), markerscale=3)
        for handle in legend.legend_handles:
            handle.set_alpha(1)
    return figure


@styled
def scatter_grid(rows: Mapping[str, Mapping[str, np.ndarray | None]], height: float = 1.28) -> Any:
    """Points by class (K, n, 2) in panels: row label -> column title -> points, None where there are none.

    Each panel has the scale of its points, written into its corner as half its width; the dashed circle holds 95 % of
    N(0, I).  Classes are told apart by colour and marker, those after the last colour drawn open.
    """
    from matplotlib.patches import Circle
    titles = list(dict.fromkeys(title for columns in rows.values() for title in columns))
    figure, axes = subplots(len(rows), len(titles), height * len(rows) + 0.3)
    radius = np.sqrt(-2 * np.log(0.05))
    for ax, (i, j) in zip(axes, np.ndindex(len(rows), len(titles)), strict=True):
        label, columns = list(rows.items())[i]
        points = columns.get(titles[j])
        ax.set(xticks=[], yticks=[], aspect="equal", ylabel=label if j == 0 else "")
        ax.set_title(titles[j] if i == 0 else "", fontsize=9)
        if points is None:
            ax.spines[:].set_visible(False)
            ax.annotate("not\nrecorded", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", fontsize=8,
                        color=GREY, style="italic")
            continue
        ax.spines[:].set_visible(True)
        for kind, chosen in enumerate(points):
            turn, place = divmod(kind, len(PALETTE))
            ax.plot(*chosen.T, linestyle="", marker=MARKERS[(place + 2 * turn) % len(MARKERS)], color=PALETTE[place],
                    markersize=2.4, markeredgewidth=0.5, markerfacecolor="none" if turn else PALETTE[place])
        ax.add_patch(Circle((0, 0), radius, fill=False, linestyle="--", color=GREY, linewidth=0.9))
        reach = 1.15 * max(1e-6, float(np.quantile(np.abs(points), 0.998)))
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
        ax.annotate(f"±{reach:.2g}", (0.97, 0.03), xycoords="axes fraction", ha="right", va="bottom", fontsize=7,
                    color=GREY, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6})
    return figure
