"""The codes of a set of sentences in the two directions in which they vary most."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ceae_core.corpora.batching import Encoded
from ceae_core.manifest import COMPLETE
from ceae_core.measure import latent
from ceae_core.report.results import Result
from ceae_core.report.tables import Download, Table
from ceae_core.runs import Run


def principal(runs: Sequence[Run], sentences: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
    """(N, 2) by name: codes mu without noise, turned so that the first two axes carry most variance, not rescaled.

    The prior N(0, I) looks the same from every direction, so the picture can be compared with it.
    """
    out = {}
    for run in runs:
        if run.status == COMPLETE:
            mu, _ = latent.codes(run.model(), Encoded(sentences, run.vocabulary()), torch.device("cpu"))
            values = mu.numpy()
            _, _, directions = np.linalg.svd(values - values.mean(0), full_matrices=False)
            out[Result.of(run).name] = values @ directions[:2].T
    return out


def data(points: Mapping[str, np.ndarray], groups: np.ndarray | None, name: str) -> Download:
    """The points of a scatter figure, as a download."""
    rows = [{"family": family, "direction 1": float(x), "direction 2": float(y),
             "group": None if groups is None else groups[i]}
            for family, values in points.items() for i, (x, y) in enumerate(values)]
    return Download(Table(rows, name, name=name))
