"""The Gaussian channel from a code to the noisy code that the decoder sees, and what the capacity rule asks of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import integrate, stats

from ceae_core import corpora
from ceae_core.corpora import table
from ceae_core.errors import CeaeError
from ceae_core.report.results import Result, load_recorded
from ceae_core.schedules import segment_noise, segments
from ceae_core.seeding import seeded

UNIT_VARIANCE = {                               # laws of mean 0 and variance 1; `.entropy()` is in nats
    "Gaussian": stats.norm(),
    "logistic": stats.logistic(scale=math.sqrt(3) / math.pi),
    "Laplace": stats.laplace(scale=math.sqrt(0.5)),
    "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
}
TAIL = 12.0                                     # standard deviations beyond which a density counts as zero


# one dimension -------------------------------------------------------------------------------------------------------

def capacity(noise: float, power: float = 1.0) -> float:
    """ln(1 + power / noise^2) / 2, nats per dimension: the most that z = mu + noise eps says about a mu of variance
    `power` (ceae, sec. A.1; cover2006elements, eq. 9.17)."""
    return 0.5 * math.log1p(power / noise ** 2)


def two_point_density(z: np.ndarray, noise: float) -> np.ndarray:
    """The density of z = mu + noise eps at z (N,), for a mu that is +1 or -1 with equal probability."""
    return 0.5 * (stats.norm.pdf(z, 1.0, noise) + stats.norm.pdf(z, -1.0, noise))


def two_point_shortfall(noise: float) -> float:
    """Capacity less I(mu; z) in nats for mu = +-1 and z = mu + noise eps, by numerical integration.

    Capacity and information have H(z | mu) in common, so it is the entropy that the law p of z lacks to the Gaussian g
    of its variance: KL(p || g), the integral of g (r ln r - r + 1) with r = p / g.
    """
    spread = math.hypot(1.0, noise)

    def integrand(z: float) -> float:
        log_p = np.logaddexp(stats.norm.logpdf(z, 1.0, noise), stats.norm.logpdf(z, -1.0, noise)) - math.log(2.0)
        log_g = stats.norm.logpdf(z, 0.0, spread)
        excess = math.expm1(log_p - log_g)                                              # r - 1
        return math.exp(log_g) * ((1.0 + excess) * (log_p - log_g) - excess)
    half, _ = integrate.quad(integrand, 0.0, 1.0 + TAIL * spread, points=[1.0], epsabs=1e-13, epsrel=1e-10, limit=400)
    return 2.0 * half


def dependent_noise_information(noise: float, correlation: float) -> tuple[float, float]:
    """I(z; mu), and H(z) - H(noise), in nats, of z = mu + noise eps where eps has this correlation with mu ~ N(0, 1).

    The second is the first only for noise that is independent of mu (ceae, sec. 3).
    """
    variance = 1.0 + noise ** 2 + 2.0 * noise * correlation                             # of z
    given = noise ** 2 * (1.0 - correlation ** 2)                                       # of z given mu
    return 0.5 * math.log(variance / given), 0.5 * math.log(variance / noise ** 2)


# many dimensions -----------------------------------------------------------------------------------------------------

def kl_floor(units: int, gamma: float, shift: float = 0.0) -> float:
    """units (gamma^2 + shift^2) / 2, nats: the least E KL of a posterior whose means are batch-normed to standard
    deviation gamma and mean `shift` (zhu2020batch, eq. 8)."""
    return 0.5 * units * (gamma ** 2 + shift ** 2)


def batch_normed_kl(batch: int, units: int, gamma: float, shift: float, sigma: float, seed: int = 1) -> float:
    """The mean KL over a batch of random codes, normed by the batch's own statistics, nats."""
    from ceae_core.losses.divergences import gaussian_kl
    with seeded(seed, "batch-normed-kl"):
        raw = torch.randn(batch, units, dtype=torch.float64).exp()                      # not Gaussian at all
    mu = gamma * (raw - raw.mean(0)) / raw.std(0, correction=0) + shift
    return float(gaussian_kl(mu, torch.full_like(mu, 2.0 * math.log(sigma))).sum(-1).mean())


def codebook(kind: str, sentences: int, units: int, seed: int = 1) -> torch.Tensor:
    """A code of unit variance for each sentence (M, P): "gaussian" or "binary", every coordinate drawn on its own."""
    if kind not in ("gaussian", "binary"):
        raise CeaeError(f"kind: unknown codebook {kind!r}; choose gaussian or binary")
    with seeded(seed, "codebook", kind):
        codes = torch.randn(sentences, units)
    return codes.sign() if kind == "binary" else codes


def codebook_information(codes: torch.Tensor, noise: float, draws: int, seed: int = 1) -> tuple[float, float]:
    """I(sentence; z) of z = mu + noise eps for M equally probable codes (M, P), and its standard error, nats.

    ln M - E ln sum_j exp((|z - mu_i|^2 - |z - mu_j|^2) / (2 noise^2)), over `draws` of a sentence i and of eps.
    """
    with seeded(seed, "channel"):
        sent = torch.randint(len(codes), (draws,))
        eps = torch.randn(draws, codes.size(1))
    z = codes[sent] + noise * eps                                                       # (draws, P)
    score = (z @ codes.T - 0.5 * codes.square().sum(1)) / noise ** 2                    # (draws, M)
    own = score.gather(1, sent.unsqueeze(1))
    nats = math.log(len(codes)) - (score - own).double().logsumexp(1)
    return float(nats.mean()), float(nats.std()) / math.sqrt(draws)


# the capacity rule ---------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Demand:
    """A training split as the capacity rule sees it: M sentences with S segments; `basis` says how S is known."""

    corpus: str
    sentences: int
    segments: float
    basis: str

    def noise(self, units: int, slack: float) -> float:
        """c0 for P = units (ceae, sec. A.4)."""
        return segment_noise(self.segments, units, slack)


def demand(corpus: str, lengths: Sequence[int], basis: str = "counted") -> Demand:
    """The demand of sentences with these numbers of words."""
    return Demand(corpus, len(lengths), segments(lengths), basis)


def known_demands(slack: float) -> list[Demand]:
    """The demands of the training splits that are known here: the oracle corpus; the Penn Treebank, counted where its
    file is at hand and otherwise read back from the c0 of a recorded run; Yahoo, counted, or scaled up from a part."""
    found = [_counted("oracle")]
    ready = {row["name"] for row in table.describe() if row["ready"]}
    if "ptb" in ready:
        found.append(_counted("ptb"))
    elif runs := [run for run in load_recorded("ptb") if "c0" in run.options]:
        found.append(read_back(runs[0], slack))
    if "yahoo" in ready:
        found.append(_counted("yahoo"))
    elif "yahoo-10k" in ready:
        part, whole = _counted("yahoo-10k"), table.entry("yahoo").splits["train"].sentences
        found.append(Demand("yahoo", whole, part.segments * whole / part.sentences,
                            f"scaled up from {part.sentences:,} sentences"))
    return found


def _counted(name: str) -> Demand:
    return demand(name, [len(sentence) for sentence in corpora.load(name).splits["train"].sentences])


def read_back(run: Result, slack: float) -> Demand:
    """The demand that a run's c0 and size imply: the rule solved for S."""
    nats = run.settings["latent"] * capacity(run.options["c0"])                         # ln(slack S)
    sentences = table.entry(run.corpus).splits["train"].sentences
    return Demand(run.corpus, sentences, math.exp(nats) / slack, f"from c0 of run {run.id}")
