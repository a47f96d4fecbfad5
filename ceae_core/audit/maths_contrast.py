"""The contrastive loss of the first paper on codes whose law is known, and the estimators that it stands for."""

import math

import torch

from ceae_core.experiments.contrast_entropy import denominator
from ceae_core.experiments.known_codes import gaussian_entropy, sphere_codes, sphere_entropy
from ceae_core.losses.contrastive import entropy_contrast
from ceae_core.losses.entropy import kozachenko_leonenko
from ceae_core.models.sphere import log_normaliser
from ceae_core.seeding import seeded


def normal_codes(count: int, units: int, seed: int = 1) -> torch.Tensor:
    """Codes of N(0, I), (N, P) float64: what a batch-normed encoder would reach if all went as wished."""
    with seeded(seed, "normal-codes"):
        return torch.randn(count, units, dtype=torch.float64)


def batch_normed(codes: torch.Tensor) -> torch.Tensor:
    """Codes (N, P) normalised by their own mean and standard deviation (ceae, eq. 9)."""
    return (codes - codes.mean(0)) / codes.std(0, correction=0)


# the loss ------------------------------------------------------------------------------------------------------------

def loss_at_convergence(codes: torch.Tensor, temperature: float = 1.0, include_positive: bool = False) -> float:
    """The mean loss per item when the momentum encoder has caught up, mu+ = mu (ceae, app. B)."""
    return float(entropy_contrast(codes, codes, codes[:0], temperature=temperature,
                                  include_positive=include_positive).mean())


def inner_products(codes: torch.Tensor) -> torch.Tensor:
    """<mu_i, mu_j> for all j != i, (N, N - 1)."""
    n = len(codes)
    return (codes @ codes.T)[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)


def effective_terms(codes: torch.Tensor, temperature: float) -> float:
    """1 / sum_j w_j^2 with w the softmax over j != i, a mean over i: on how many codes the repulsion really acts."""
    weights = (inner_products(codes) / temperature).softmax(1)                          # (N, N - 1)
    return float((1.0 / weights.square().sum(1)).mean())


# nearest neighbours --------------------------------------------------------------------------------------------------

def neighbour_bias(count: int, units: int, seed: int = 1) -> float:
    """The mean Kozachenko-Leonenko estimate of `count` draws of N(0, I) less its entropy, nats per dimension."""
    codes = normal_codes(count, units, seed)
    return (float(kozachenko_leonenko(codes).mean()) - gaussian_entropy(units)) / units


def printed_neighbour_estimate(codes: torch.Tensor) -> float:
    """The estimate of N + 1 codes with ln Y_i = d (ln N + ln R_i) (ceae, app. B) in place of ln N + d ln R_i."""
    n, units = len(codes) - 1, codes.size(1)
    return float(kozachenko_leonenko(codes).mean()) + (units - 1) * math.log(n)


def nearest_cosines(codes: torch.Tensor) -> torch.Tensor:
    """The largest cosine of each code with another, (N,)."""
    return inner_products(torch.nn.functional.normalize(codes, dim=1)).max(1).values


# a calibrated kernel on the sphere -----------------------------------------------------------------------------------

def kernel_entropy(codes: torch.Tensor, temperature: float) -> float:
    """Minus the mean log of the leave-one-out density with kernel C_P(1 / tau) exp(<., .> / tau), unit vectors (N, P).

    This is the loss with the normaliser that makes its sum a density (ceae, app. B leaves it out as a constant).
    """
    return -float(denominator(codes, temperature).mean()) - log_normaliser(codes.size(1), 1.0 / temperature)


def gap_recovered(units: int, temperature: float, count: int, resultant: float = 0.3, seed: int = 1) -> float:
    """The share of the entropy between the uniform law and one of this resultant that `kernel_entropy` sees."""
    with seeded(seed, "gap-recovered"):
        even, leaning = (sphere_codes(r, count, units) for r in (0.0, resultant))
    seen = kernel_entropy(even, temperature) - kernel_entropy(leaning, temperature)
    return seen / (sphere_entropy(0.0, units) - sphere_entropy(resultant, units))
