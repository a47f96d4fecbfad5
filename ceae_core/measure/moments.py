"""What a norm fixes about a set of codes and what it leaves free: moments by sentence and by unit."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Of codes z (N, Z), N sentences and Z units.

    By sentence: its norm, and the sum of its coordinates over sqrt(Z), which is its component along (1, …, 1).  By
    unit, over the sentences: mean, variance and kurtosis (a Gaussian's is 3).  `spectrum`: eigenvalues of the
    covariance, the largest first; `correlation`: mean absolute correlation of two units.
    """

    norm_mean: float
    norm_sd: float
    norm_least: float
    norm_most: float
    along_ones: float           # root mean square over sentences
    means: list[float]          # (Z,)
    variances: list[float]      # (Z,)
    kurtoses: list[float]       # (Z,)
    spectrum: list[float]       # (Z,)
    correlation: float

    @classmethod
    def of(cls, z: np.ndarray) -> "Moments":
        """The moments of z (N, Z) with N > 1; a unit that never varies has kurtosis NaN and no correlation."""
        z = np.asarray(z, float)
        norms, along = np.linalg.norm(z, axis=1), z.sum(1) / z.shape[1] ** 0.5
        centred, variances = z - z.mean(0), z.var(0)
        covariance = np.cov(z.T, bias=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            kurtoses = (centred ** 4).mean(0) / variances ** 2
            correlations = covariance / np.sqrt(np.outer(variances, variances))
        beside = np.abs(correlations[~np.eye(len(variances), dtype=bool)])
        return cls(float(norms.mean()), float(norms.std()), float(norms.min()), float(norms.max()),
                   float(np.sqrt((along ** 2).mean())), z.mean(0).tolist(), variances.tolist(), kurtoses.tolist(),
                   np.linalg.eigvalsh(covariance)[::-1].tolist(), float(np.nanmean(beside)))

    @property
    def in_the_mean(self) -> float:
        """|m|^2, the part of the mean squared norm that the mean code m has."""
        return float(np.square(self.means).sum())

    @property
    def around_it(self) -> float:
        """The rest: the trace of the covariance.  The two add up to the mean squared norm."""
        return float(np.sum(self.variances))

    def empty(self, share: float = 1e-6) -> int:
        """Directions in which the codes do not vary: eigenvalues below `share` of the largest."""
        return int(np.sum(np.asarray(self.spectrum) < share * self.spectrum[0]))

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def on_the_sphere(z: np.ndarray) -> np.ndarray:
    """z (N, Z) where layer norm without an affine part puts it (ba2016layer): sum 0, norm sqrt(Z).

    Of draws from N(0, I) it makes the uniform law on that sphere.
    """
    centred = z - z.mean(1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(1, keepdims=True))
