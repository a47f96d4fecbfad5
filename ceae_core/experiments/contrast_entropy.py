"""Does the contrastive denominator follow the entropy, on codes whose entropy is known?"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ceae_core.experiments import obtain
from ceae_core.experiments.known_codes import FAMILIES, family
from ceae_core.hardware import cpu_threads
from ceae_core.losses.contrastive import entropy_contrast
from ceae_core.progress import bar
from ceae_core.runs import Store
from ceae_core.seeding import seeded

NAME = "contrast-entropy"


def denominator(codes: torch.Tensor, temperature: float) -> torch.Tensor:
    """ln of the mean over j != i of exp(<mu_i, mu_j> / tau), (N,): the repulsive half of `entropy_contrast`."""
    nothing = torch.zeros_like(codes)                                                   # keys whose similarity is 0
    summed = entropy_contrast(codes, nothing, codes[:0], temperature=temperature)
    return summed - math.log(len(codes) - 1)


def temperatures(units: int) -> dict[str, float]:
    """The temperatures that are compared, by how a page calls them."""
    return {"1": 1.0, "√P": math.sqrt(units), "P": float(units), "10 P": 10.0 * units}


def follow(*, kind: str, units: int, count: int, batches: int, seed: int) -> dict[str, Any]:
    """The denominator at every level of a family, over `batches` of `count` codes.

    entropy (L,) nats; by name of a temperature the mean (L,) over batches and the standard deviation `sd` (L,) between
    batches.  The denominator is a mean log kernel, so it should fall where entropy rises.
    """
    chosen = family(kind)
    columns: dict[str, dict[str, list[float]]] = {
        name: {"mean": [], "sd": []} for name in temperatures(units)}
    with cpu_threads(1), bar(len(chosen.levels) * batches, f"{kind}, {units} dimensions") as progress:
        for level in chosen.levels:
            values: dict[str, list[float]] = {name: [] for name in columns}
            for batch in range(batches):
                with seeded(seed, NAME, kind, batch):           # the same underlying draws at every level
                    codes = chosen.draw(level, count, units)
                for name, temperature in temperatures(units).items():
                    values[name].append(float(denominator(codes, temperature).mean()))
                progress.update()
            for name, found in values.items():
                columns[name]["mean"].append(float(np.mean(found)))
                columns[name]["sd"].append(float(np.std(found, ddof=1)))
    return {"level": list(chosen.levels), "entropy": [chosen.entropy(level, units) for level in chosen.levels],
            **columns}


def rank_correlation(content: Mapping[str, Any], temperature: str) -> float:
    """Spearman's correlation of minus the denominator with the entropy, over the levels of a family."""
    from scipy import stats
    found = content["result"]
    return float(stats.spearmanr(-np.array(found[temperature]["mean"]), found["entropy"]).statistic)


def visibility(content: Mapping[str, Any], temperature: str) -> np.ndarray:
    """By how many standard deviations of a difference between two batches each level's denominator lies above that of
    the most random level (L,): positive is the right direction, below 1 a batch does not show it."""
    mean, sd = (np.array(content["result"][temperature][key]) for key in ("mean", "sd"))
    return (mean - mean[0]) / np.hypot(sd, sd[0])


def follow_all(scale: str, kinds: Sequence[str] = tuple(FAMILIES), store: Store | None = None) -> list[dict[str, Any]]:
    """The stored experiments of `follow` that the book shows."""
    size = {"count": 16, "batches": 3, "units": (2, 8)} if scale == "smoke" else {
        "count": 128, "batches": 16, "units": (2, 8, 32, 512)}
    return [obtain(NAME, follow, {"kind": kind, "units": units, "count": size["count"], "batches": size["batches"],
                                  "seed": 1}, store=store) for units in size["units"] for kind in kinds]
