"""The dual estimator against a KL that is known: sentence codes and posteriors whose joint law is Gaussian.

`track` trains a critic and reads it along the way; `perfect` needs no training: it shows what the best possible critic,
f = log q/p, reads from a finite number of draws of the prior.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ceae_core.errors import CeaeError
from ceae_core.experiments import obtain, record
from ceae_core.experiments.critic_fit import Pairs, Recipe, columns, fit, readings, rounded
from ceae_core.hardware import cpu_threads
from ceae_core.runs import Store
from ceae_core.seeding import seeded

NAME, PERFECT = "dual-estimator", "perfect-critic"
HIDDEN = 256                    # size of a sentence vector
DRAWS = (10, 32, 100, 316, 1000, 3162, 10_000, 31_623, 100_000)
CHUNK = 100_000                 # pairs drawn at a time


class Known:
    """Sentence vectors h ~ N(0, I_H) and posteriors q(z|h) = N(A h, s^2 I_d) with A A^T = (1 - s^2) I, s = e^(-KL/d).

    Then q(z) is the prior N(0, I), and E_h KL(q(z|h) || p) = I(h; z) = -d log s is the KL asked for.  Codes are
    computed in float64: for 40 nats in 2 dimensions s is 2e-9, which a critic in float32 cannot see any more.
    """

    def __init__(self, kl: float, latent: int, hidden: int = HIDDEN) -> None:
        """A is drawn by the global generator.  Raises CeaeError for a KL or sizes that cannot be."""
        if not kl > 0:
            raise CeaeError(f"kl: must be above 0 nats, not {kl}")
        if not 1 <= latent <= hidden:
            raise CeaeError(f"latent: must be from 1 to the {hidden} of the sentence vector, not {latent}")
        self.kl, self.latent, self.hidden = kl, latent, hidden
        self.scale = math.exp(-kl / latent)                                                 # s
        rows = torch.linalg.qr(torch.randn(hidden, latent, dtype=torch.float64)).Q.T
        self.matrix = math.sqrt(-math.expm1(-2 * kl / latent)) * rows                       # A (d, H)

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """h (N, H) and z ~ q(z|h) (N, d), float64."""
        h = torch.randn(count, self.hidden, dtype=torch.float64)
        return h, h @ self.matrix.T + self.scale * torch.randn(count, self.latent, dtype=torch.float64)

    def pairs(self, count: int) -> Pairs:
        """`draw` in the precision of a model, float32."""
        h, z = self.draw(count)
        return h.float(), z.float()

    def log_ratio(self, z: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """log q(z|h) - log p(z) (N,): the critic that attains the KL (fang2019implicit, eq. 9)."""
        distance = (z - h @ self.matrix.T) / self.scale
        return 0.5 * (z.square().sum(-1) - distance.square().sum(-1)) + self.kl

    def renyi2(self, h: torch.Tensor) -> torch.Tensor:
        """The Renyi divergence of order 2 of q(z|h) from the prior (N,) nats: log E_p e^(2f) for the perfect f.

        Its exponential has the mean s^(-2d) = e^(2 KL) over h.
        """
        square = self.scale ** 2
        return (h @ self.matrix.T).square().sum(-1) / (2 - square) - 0.5 * self.latent * math.log(square * (2 - square))


def draws_needed(kl: float, error: float = 1.0) -> float:
    """Draws of the prior until E_p e^f has the standard error `error`, for the perfect f of a `Known`: e^(2 KL) - 1 is
    the variance of e^f over pairs."""
    return math.expm1(2 * kl) / error ** 2


@dataclass(frozen=True)
class CircleOptimum:
    """The critic that minimises the circle loss is log q/p + log k: k, the loss there, what the dual formula reads."""

    log_k: float
    loss: float
    dual: float


def circle_optimum(kl: float) -> CircleOptimum:
    """For a KL in nats: k solves k sigma(k) = sigma(-KL - log k) (stationarity of clvm, eq. 13, in f)."""
    def softplus(a: float) -> float:
        return max(a, 0.0) + math.log1p(math.exp(-abs(a)))
    low, high = -kl - 1.0, 1.0                  # between them the two sides change their order
    for _ in range(200):
        middle = 0.5 * (low + high)
        over = middle - softplus(-math.exp(middle)) + softplus(kl + middle) > 0
        low, high = (low, middle) if over else (middle, high)
    k = math.exp(low)
    return CircleOptimum(low, softplus(-kl - low) + softplus(k), kl + low - k + 1.0)


def track(*, kl: float, latent: int, hidden: int, held_out: int, seed: int, **recipe: Any) -> dict[str, Any]:
    """Train a critic on a `Known`, always on fresh pairs, and read it on `held_out` pairs that it never sees.

    The result holds `curve`, a list per column of `critic_fit.readings` beside the number of updates; `perfect`, the
    same readings of log q/p on the same pairs; `ended`, after how many updates the critic was no number any more, or
    None.
    """
    plan = Recipe(**recipe)
    with cpu_threads(1), seeded(seed, NAME):
        law = Known(kl, latent, hidden)
        critics = plan.critics(hidden, latent)
        h, z = law.draw(held_out)
        prior = torch.randn(held_out, latent, dtype=torch.float64)
        best = readings(law.log_ratio(z, h), law.log_ratio(prior, h))
        fitted = fit(critics, law.pairs, (h.float(), z.float()), prior.float(), plan,
                     f"critic, KL {kl:g} nats, {latent} dimensions")
    return {"curve": columns(fitted.rows), "ended": fitted.ended, "perfect": rounded(best)}


def perfect(*, kl: float, latent: int, draws: Sequence[int], total: int, seed: int) -> dict[str, list[float]]:
    """What f = log q/p reads from n pairs and n draws of the prior, for every n of `draws`, over total / n repetitions.

    A list per column: `draws`, `repeats`; mean, least and quantiles (5, 50, 95 %) of the dual estimate; the median of
    the DV estimate and of mean e^f; the share of negative dual estimates.
    """
    if min(draws) < 1 or max(draws) > total:
        raise CeaeError(f"draws: must be from 1 to total = {total}, not {list(draws)}")
    f_q, f_p = [], []
    with cpu_threads(1), seeded(seed, PERFECT):
        law = Known(kl, latent, latent)             # a longer h would change nothing but the time
        for start in range(0, total, CHUNK):
            h, z = law.draw(min(CHUNK, total - start))
            f_q.append(law.log_ratio(z, h))
            f_p.append(law.log_ratio(torch.randn_like(z), h))
    return columns([_finite(torch.cat(f_q), torch.cat(f_p), int(n)) for n in draws])


def _finite(f_q: torch.Tensor, f_p: torch.Tensor, n: int) -> dict[str, float]:
    """One row of `perfect` from values at codes and at the prior (total,)."""
    repeats = len(f_q) // n
    f_q, f_p = (values[:repeats * n].view(repeats, n) for values in (f_q, f_p))
    mean_exp = f_p.exp().mean(1)
    dual = f_q.mean(1) - mean_exp + 1.0
    dv = f_q.mean(1) - f_p.logsumexp(1) + math.log(n)
    low, middle, high = dual.quantile(torch.tensor([0.05, 0.5, 0.95], dtype=dual.dtype)).tolist()
    return {"draws": n, "repeats": repeats, "dual_low": low, "dual_median": middle, "dual_high": high,
            "dual_mean": float(dual.mean()), "dual_least": float(dual.min()), "dv_median": float(dv.median()),
            "mean_exp_median": float(mean_exp.median()), "negative_share": float((dual < 0).double().mean())}


# What the book shows.  QUICK is trained in the build; FULL, with the sizes and the rates of the papers, is recorded.
CURVE = {"hidden": HIDDEN, "held_out": 2048, "seed": 1}
SMALL = {"critic_hidden": 128, "critic_lr": 1e-3, "updates": 4000, "every": 100}
RATE, SHORT = 1e-4, {"critic_lr": 1e-4, "updates": 10_000}
PERFECT_KLS = (2.0, 4.0, 8.0, 20.0)
KLS, LATENTS = (8.0, 20.0, 40.0), (2, 8, 32)
QUICK = (*({"kl": kl, "latent": 32, **SMALL} for kl in KLS),
         *({"kl": 40.0, "latent": latent, **SMALL} for latent in LATENTS[:-1]),
         {"kl": 40.0, "latent": 32, "loss": "circle", **SMALL})
FULL = (*({"kl": kl, "latent": 32, "critic_lr": RATE} for kl in KLS),
        *({"kl": kl, "latent": 32, "critic_lr": 1e-5} for kl in reversed(KLS)),
        {"kl": 40.0, "latent": 32, "critic_lr": RATE, "loss": "circle"},
        *({"kl": kl, "latent": latent, **SHORT} for latent in LATENTS[:-1] for kl in reversed(KLS)),
        *({"kl": 40.0, "latent": 32, "critic_lr": RATE, "seed": seed} for seed in (2, 3)))


def curve(store: Store | None = None, **changes: Any) -> dict[str, Any]:
    """The stored experiment of `track` with CURVE, the defaults of `Recipe` and these changes (see `obtain`)."""
    return obtain(NAME, track, CURVE | asdict(Recipe()) | changes, store=store)


def curves(scale: str, store: Store | None = None) -> list[dict[str, Any]]:
    """The experiments of QUICK; at scale smoke hardly trained."""
    tiny = {"critic_hidden": 8, "updates": 40, "every": 20, "held_out": 64} if scale == "smoke" else {}
    return [curve(store, **changes | tiny) for changes in QUICK]


def perfect_critics(scale: str, store: Store | None = None) -> list[dict[str, Any]]:
    """The stored experiments of `perfect` in eight dimensions (see `obtain`)."""
    draws, total = (DRAWS[:5], 10_000) if scale == "smoke" else (DRAWS, 1_000_000)
    size = {"draws": list(draws), "total": total}
    return [obtain(PERFECT, perfect, {"kl": kl, "latent": 8, "seed": 1, **size}, store=store) for kl in PERFECT_KLS]


def record_full(store: Store | None = None) -> list[Path]:
    """Compute what is missing of FULL, hours of one core, and write all of it among the recorded results."""
    return [record(curve(store, **changes)) for changes in FULL]
