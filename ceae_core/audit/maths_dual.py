"""Duals of the KL on laws with finitely many states: every expectation is a sum, every optimum can be searched for.

q and p are probabilities of the states (K,), f the critic's value at each (K,).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import expit, logsumexp, softmax

from ceae_core.experiments.dual_estimator import circle_optimum


def random_laws(states: int, seed: int, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two laws with every state possible: softmaxes of normal draws."""
    draws = np.random.default_rng(seed).normal(size=(2, states)) * sharpness
    return tuple(softmax(draws, axis=1))


def kl_divergence(q: np.ndarray, p: np.ndarray) -> float:
    """KL(q || p) of laws without a state of probability 0, nats."""
    return float(q @ np.log(q / p))


def softplus(a: float) -> float:
    return float(np.logaddexp(0.0, a))


# the Fenchel dual ----------------------------------------------------------------------------------------------------

def printed_dual(f: np.ndarray, q: np.ndarray, p: np.ndarray) -> float:
    """E_q f - E_p e^f, as clvm, eq. 3 has it; the KL is the maximum of this plus one."""
    return float(q @ f - p @ np.exp(f))


def searched_maximum(q: np.ndarray, p: np.ndarray) -> float:
    """The maximum of `printed_dual` over all f, by search from f = 0."""
    found = optimize.minimize(lambda f: -printed_dual(f, q, p), np.zeros_like(q), jac=lambda f: p * np.exp(f) - q,
                              method="BFGS", options={"gtol": 1e-10})
    return -float(found.fun)


# the circle loss -----------------------------------------------------------------------------------------------------

def printed_circle(f: np.ndarray, q: np.ndarray, p: np.ndarray) -> float:
    """softplus(-E_q f) + softplus(E_p e^f) (clvm, eq. 13)."""
    return softplus(-float(q @ f)) + softplus(float(p @ np.exp(f)))


def searched_circle_minimum(q: np.ndarray, p: np.ndarray) -> float:
    """The minimum of `printed_circle` over all f, by search from f = 0."""
    def gradient(f: np.ndarray) -> np.ndarray:
        return -expit(-q @ f) * q + expit(p @ np.exp(f)) * p * np.exp(f)
    found = optimize.minimize(printed_circle, np.zeros_like(q), args=(q, p), jac=lambda f, *_: gradient(f),
                              method="BFGS", options={"gtol": 1e-11})
    return float(found.fun)


def circle_reward(kl: float) -> float:
    """By how much eq. 15 of clvm grows per nat of KL at the critic's optimum: -dV/dKL = sigma(-E_q f*) > 0.

    V(KL) is a minimum over k of softplus(-KL - ln k) + softplus(k), so only the explicit KL counts (envelope theorem).
    """
    return float(expit(-kl - circle_optimum(kl).log_k))


def summed_gradient_weight(mean_f: float, batch: int) -> float:
    """sigma(-N f): what is left of the encoder's gradient in softplus(-sum f) (clvm, eq. 19) when the mean of f over N
    codes is `mean_f`."""
    return float(expit(-batch * mean_f))


# objectives ----------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Exact:
    """Terms of an autoencoder with finitely many sentences and codes, expectations over the data, nats."""

    log_p: float            # E ln p(x)
    rec: float              # E E_q ln p(x | z)
    kl: float               # E KL(q(z | x) || p(z))
    kl_aggregate: float     # KL(q(z) || p(z))

    @property
    def information(self) -> float:
        """I(x; z) under the data and q."""
        return self.kl - self.kl_aggregate


def exact_model(sentences: int, codes: int, seed: int, blur: float = 0.0) -> Exact:
    """A random prior and decoder with their exact posterior, mixed with the uniform law by `blur`; data from the model.
    """
    rng = np.random.default_rng(seed)
    prior = softmax(rng.normal(size=codes))
    decoder = softmax(2.0 * rng.normal(size=(codes, sentences)), axis=1)                # p(x | z)
    data = prior @ decoder                                                              # p(x)
    posterior = (1.0 - blur) * (prior[:, None] * decoder / data).T + blur / codes       # q(z | x)
    return Exact(float(data @ np.log(data)), float(data @ (posterior * np.log(decoder).T).sum(1)),
                 float(data @ (posterior * np.log(posterior / prior)).sum(1)), kl_divergence(data @ posterior, prior))


# contrast and clusters -----------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class ContrastRange:
    """Between what the contrast of one anchor can lie, and the most that its mean over a batch can be, nats."""

    least: float
    most: float
    most_of_batch: float


def contrast_range(batch: int, temperature: float) -> ContrastRange:
    """Bounds of clvm, eq. 8, on one anchor, and of eq. 10 on the batch.

    One anchor: all cosines at +-1.  The batch: the cosines of N anchors sum to -N at least, so by Jensen's inequality
    nothing beats a regular simplex.
    """
    def value(positive: float, negatives: float) -> float:
        logits = np.array([positive, negatives]) / temperature
        return float(logits[0] - logsumexp(logits, b=[1.0, batch - 1.0]))
    return ContrastRange(value(-1.0, 1.0), value(1.0, -1.0), value(1.0, -1.0 / (batch - 1)))


def cluster_loss(logits: np.ndarray, category: int, sign: float = -1.0) -> float:
    """-ln sigma(y_k) + sign * sum over i != k of ln(1 - sigma(y_i)) of logits (K,): binary cross-entropy for sign -1;
    clvm, sec. 4.1 prints +1."""
    others = np.delete(logits, category)
    return softplus(-logits[category]) - sign * math.fsum(softplus(y) for y in others)
