"""Maps of codes on a page: places in the plane by class, and the numbers that say what a map keeps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ceae_core import experiments
from ceae_core.experiments import latent_map
from ceae_core.measure.maps import METHODS, NEIGHBOURS
from ceae_core.report import recorded as records
from ceae_core.report.figures import MARKERS, PALETTE, styled, subplots
from ceae_core.report.results import Result, load_recorded
from ceae_core.report.tables import Download, Table
from ceae_core.runs import Run

Maps = Mapping[str, Mapping[str, Any]]          # name of a run -> a result of `experiments.latent_map`


def recorded(corpus: str, scale: str) -> Maps:
    """The recorded maps of runs of a corpus at a scale, by their names."""
    names = {r.id: r.name for r in load_recorded(corpus, scale)} if corpus in records.corpora() else {}
    return {names[run_id]: content["result"] for content in experiments.recorded(latent_map.NAME)
            if (run_id := content["parameters"]["run_id"]) in names}


def of(runs: Sequence[Run], **more: Any) -> Maps:
    """The map of each run, from the store of experiments or drawn now; `more` goes to `latent_map.obtain`."""
    return {Result.of(run).name: content["result"]
            for run, content in zip(runs, latent_map.obtain(runs, **more), strict=True)}


@styled
def picture(found: Maps, height: float = 1.75) -> Any:
    """A panel for each run and method, coloured by class.  Axes have no numbers: a map has no unit."""
    figure, panels = subplots(len(METHODS), len(found), height * len(METHODS) + 0.4)
    for i, (method, (name, each)) in enumerate((m, item) for m in METHODS for item in found.items()):
        ax, points, kinds = panels[i], np.array(each["places"][method]), np.array(each["kinds"])
        for kind, value in enumerate(each["classes"]):
            ax.plot(*points[kinds == kind].T, linestyle="", marker=MARKERS[kind % len(MARKERS)], markersize=2.2,
                    alpha=0.55, color=PALETTE[kind % len(PALETTE)], markeredgewidth=0, label=value)
        ax.set(xticks=[], yticks=[], title=name if i < len(found) else "", ylabel="" if i % len(found) else method)
        ax.spines[:].set_visible(True)
    first = next(iter(found.values()))
    legend = figure.legend(*panels[0].get_legend_handles_labels(), title=first["label"], ncols=len(first["classes"]),
                           loc="outside lower center", markerscale=3)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    return figure


def table(found: Maps, caption: str, name: str) -> Table:
    """By run and space: how many neighbours share a point's class, and the silhouette of the classes."""
    first = next(iter(found.values()))
    spaces = ("codes", *METHODS)
    rows = [{"codes of": run, **{f"accuracy by neighbours (%) | {space}": each["neighbour_accuracy_percent"][space]
                                 for space in spaces},
             **{f"silhouette | {space}": each["silhouette"][space] for space in spaces}}
            for run, each in found.items()]
    places = {f"accuracy by neighbours (%) | {space}": 1 for space in spaces}
    return Table(rows, caption, [
        f"{len(first['kinds']):,} sentences. Codes: in the space of the codes itself, before any map. Accuracy by "
        f"neighbours: of the class that most of the {NEIGHBOURS} nearest others have. Silhouette: from −1 to 1, 0 "
        "where the classes lie on top of each other."], name, digits=places, places=3)


def data(found: Maps, name: str) -> Download:
    """The places and the classes, as a download."""
    rows = [{"codes of": run, "map": method, "direction 1": x, "direction 2": y, each["label"]: each["classes"][kind]}
            for run, each in found.items() for method in METHODS
            for (x, y), kind in zip(each["places"][method], each["kinds"], strict=True)]
    return Download(Table(rows, name, name=name))


def ordered(found: Maps, families: Sequence[str]) -> Maps:
    """Those whose name begins with one of the families, in that order."""
    return {name: found[name] for family in families for name in found if name.split(" ")[0] == family}
