"""Findings on the steps of the first paper's appendices B, E and F: norms, kernels, nearest neighbours, the sphere."""

import math
from functools import partial

import numpy as np
import torch
from scipy import integrate, stats
from torch.nn import functional as F

from ceae_core.audit.finding import Evidence, Finding
from ceae_core.audit.maths_contrast import (
    effective_terms,
    inner_products,
    nearest_cosines,
    normal_codes,
    printed_neighbour_estimate,
)
from ceae_core.experiments.contrast_entropy import denominator, temperatures
from ceae_core.experiments.known_codes import gaussian_entropy
from ceae_core.losses.entropy import kozachenko_leonenko
from ceae_core.report import published

BATCH = 128
DIMENSIONS = (2, 8, 32, 512)
_finding = partial(Finding, paper="ceae", kind="equation")


def _by_dimension(values: dict[int, float], places: int = 2) -> str:
    return ", ".join(f"{value:.{places}f} ({units})" for units, value in values.items())


def squared_norms(count: int = 4000) -> Evidence:
    """Mean and spread of the squared norm of codes with unit variance."""
    squares = {units: normal_codes(count, units).square().sum(1) for units in DIMENSIONS}
    mean, spread = ({units: float(of(value)) for units, value in squares.items()} for of in (torch.mean, torch.std))
    is_right = all(abs(mean[d] - d) < 5 * math.sqrt(2 * d / count) and abs(spread[d] / math.sqrt(2 * d) - 1) < 0.1
                   for d in DIMENSIONS)
    return Evidence(is_right, f"Mean of ‖μ‖² by dimension: {_by_dimension(mean, 1)}; standard deviation: "
                    f"{_by_dimension(spread, 1)}.",
                    {str(d): mean[d] for d in DIMENSIONS})


def variance_of_similarities() -> Evidence:
    """The standard deviation of inner products, raw and divided by the dimension."""
    raw = {units: float(inner_products(normal_codes(BATCH, units)).std()) for units in DIMENSIONS}
    scaled = {units: value / units for units, value in raw.items()}
    is_right = all(abs(value / math.sqrt(units) - 1) < 0.1 for units, value in raw.items())
    return Evidence(is_right,
                    f"Standard deviation of ⟨μ_i, μ_j⟩ by dimension: {_by_dimension(raw)}; after division by d: "
                    f"{_by_dimension(scaled, 3)}.",
                    {str(units): value for units, value in raw.items()})


def correction_factor(count: int = 4000, units: int = 512) -> Evidence:
    """The spread of the logarithm of the factor between the two kernels."""
    left, right = normal_codes(count, units, 1), normal_codes(count, units, 2)
    log_factor = -0.5 * (left.square().sum(1) + right.square().sum(1))
    raw, scaled = float(log_factor.std()), float((log_factor / units).std())
    return Evidence(abs(raw / math.sqrt(units) - 1) < 0.1 and scaled < 0.1,
                    f"In {units} dimensions the logarithm of the factor has a standard deviation of {raw:.1f}; with "
                    f"codes divided by √d, {scaled:.3f}.",
                    {"raw": raw, "scaled": scaled})


def sign_of_the_mean_log_density() -> Evidence:
    """E ln p and the entropy of a Gaussian."""
    law = stats.norm(scale=2.0)
    mean_log, _ = integrate.quad(lambda x: law.pdf(x) * law.logpdf(x), -30, 30)
    return Evidence(math.isclose(mean_log, -float(law.entropy()), rel_tol=1e-8),
                    f"N(0, 4): E ln P = {mean_log:.4f}, H = {float(law.entropy()):.4f} nats.", {"mean_log": mean_log})


def low_temperature() -> Evidence:
    """tau ln sum exp(s / tau) against max s, and the number of terms that count."""
    codes = normal_codes(BATCH, 8)
    largest = float(inner_products(codes).max(1).values.mean())
    gaps = {tau: tau * (float(denominator(codes, tau).mean()) + math.log(BATCH - 1)) - largest
            for tau in (1.0, 0.1, 0.01)}
    raw, wide = ({units: effective_terms(normal_codes(BATCH, units), temperatures(units)[name]) for units in DIMENSIONS}
                 for name in ("1", "√P"))
    return Evidence(gaps[1.0] > gaps[0.1] > gaps[0.01] >= 0 and gaps[0.01] < 0.01 and raw[512] < 2 < 10 < wide[512],
                    "τ E ln Σ exp(s/τ) less E max s: "
                    f"{', '.join(f'{gap:.3f} at τ = {tau:g}' for tau, gap in gaps.items())} (8 dimensions). Effective "
                    f"number of the {BATCH - 1} terms by dimension: {_by_dimension(raw, 1)} at τ = 1, "
                    f"{_by_dimension(wide, 1)} at τ = √d.",
                    {"gap": gaps[0.01], **{str(units): value for units, value in raw.items()}})


def misplaced_logarithm(count: int = 1001) -> Evidence:
    """The estimate with the printed logarithm, with the right one, and the entropy."""
    found = {}
    for units in (DIMENSIONS[0], DIMENSIONS[-1]):
        codes = normal_codes(count, units)
        right = float(kozachenko_leonenko(codes).mean())
        found[units] = (printed_neighbour_estimate(codes), right, gaussian_entropy(units))
    said = "; ".join(f"{units} dimensions: {printed:,.1f} printed, {right:,.1f} right, {truth:,.1f} true"
                     for units, (printed, right, truth) in found.items())
    return Evidence(all(printed - right > 5 > abs(right - truth) / units
                        for units, (printed, right, truth) in found.items()),
                    f"{count:,} draws of N(0, I), nats. {said}.",
                    {f"{units} printed": values[0] for units, values in found.items()})


def expanded_distance() -> Evidence:
    """|a - b|^2 against 2 - 2 <a, b>, for unit vectors and for codes of unit variance."""
    codes = normal_codes(16, 8)
    unit = F.normalize(codes, dim=1)

    def error(x: torch.Tensor) -> float:
        away = torch.cdist(x, x).square() - (2 - 2 * x @ x.T)
        return float(away[~torch.eye(len(x), dtype=torch.bool)].abs().mean())
    on_sphere, raw = error(unit), error(codes)
    return Evidence(on_sphere < 1e-9 < 5 < raw,
                    f"Mean error of 2 − 2⟨a, b⟩ in 8 dimensions: {on_sphere:.0e} on the unit sphere, {raw:.1f} for "
                    "codes of unit variance.",
                    {"sphere": on_sphere, "raw": raw})


def logarithm_at_the_neighbour() -> Evidence:
    """ln(1 - x) against -x at the nearest neighbour's cosine x."""
    cosine, exact = {}, {}
    for units in DIMENSIONS:
        nearest = nearest_cosines(normal_codes(BATCH, units))
        cosine[units], exact[units] = float(nearest.mean()), float((1 - nearest).log().mean())
    return Evidence(abs(exact[512] / cosine[512] + 1) < 0.1 and exact[32] / cosine[32] < -1.2 and exact[2] < -5,
                    f"{BATCH} codes. Largest cosine by dimension: {_by_dimension(cosine)}; mean ln(1 − x): "
                    f"{_by_dimension(exact)}.",
                    {str(units): exact[units] for units in DIMENSIONS})


def layer_norm_sphere(units: int = 16) -> Evidence:
    """Where layer norm without its affine part puts codes."""
    codes = F.layer_norm(normal_codes(200, units).exp(), (units,), eps=0.0)
    norm, total = codes.norm(dim=1), float(codes.sum(1).abs().max())
    rank = int(torch.linalg.matrix_rank(codes, atol=1e-8))
    return Evidence(float((norm / math.sqrt(units) - 1).abs().max()) < 1e-9 and total < 1e-9 and rank == units - 1,
                    f"200 codes in {units} dimensions: norms from {float(norm.min()):.6f} to {float(norm.max()):.6f}, "
                    f"coordinates that sum to {total:.0e} at most, rank {rank}.", {"rank": float(rank)})


def pairs_of_sentences() -> Evidence:
    """The number of pairs in the study of appendix E."""
    count = int(published.setting("ceae", "BERT validation", "sentences").value)
    printed = published.setting("ceae", "BERT validation", "pairs").value
    pairs = len(np.triu_indices(count, 1)[0])
    return Evidence(pairs == printed, f"{count:,} sentences have {pairs:,} pairs.", {"pairs": float(pairs)})


FINDINGS: tuple[Finding, ...] = (
    _finding(
        key="ceae-b-norms", place="appendix B", verdict="error", check=squared_norms, see="sec-concentration",
        says=r"With mean 0 and variance 1, $\lVert\mu_i\rVert^2$ is strongly concentrated around a constant (1).",
        finding=r"Around $d$, with standard deviation $\sqrt{2d}$; appendix F has the norm $\sqrt d$. The step needs "
                r"$\mu/\sqrt d$, which is a temperature of $d$."),
    _finding(
        key="ceae-b-variance", place="appendix B", verdict="holds if", check=variance_of_similarities,
        see="sec-concentration",
        says=r"$\langle\mu_i, \mu_j\rangle$ is a zero-mean Gaussian of variance $1/d$.",
        finding=r"True after division by $d$. As the codes are normalised in the paper, the variance is $d$."),
    _finding(
        key="ceae-b-lipschitz", place="appendix B", verdict="error", check=correction_factor, see="sec-concentration",
        says=r"$\exp(-\tfrac12\lVert\mu_i\rVert^2 - \tfrac12\lVert\mu_j\rVert^2)$ is Lipschitz and therefore "
             "concentrates, so the kernel on the sphere may replace the Gaussian one.",
        finding=r"With unit variance the logarithm of the factor has standard deviation $\sqrt d$, so the factor "
                r"varies over orders of magnitude. Divided by $d$ it is $1/\sqrt d$: then the step holds."),
    _finding(
        key="ceae-b-sign", place="appendix B", verdict="typo", check=sign_of_the_mean_log_density, see="sec-neighbours",
        says="The expectation of the log converges to the entropy.",
        finding=r"To minus the entropy, $\mathbb E\log P \to -H$. The conclusion, minimise it to raise $H$, is right."),
    _finding(
        key="ceae-b-max", place="appendix B", verdict="typo", check=low_temperature, see="sec-temperature",
        says=r"For $\tau \ll 1$, $\mathbb E\log\sum_j\exp(\langle\mu_i,\mu_j\rangle/\tau)$ is about $\arg\max_j "
             r"\langle\mu_i,\mu_j\rangle/\tau$.",
        finding=r"$\mathbb E\max_j\langle\mu_i,\mu_j\rangle/\tau$; the same slip recurs in the later lines. How low is "
                r"low depends on $d$: in 512 dimensions raw inner products with $\tau = 1$ already are the limit, and "
                "only the nearest neighbour gets a gradient."),
    _finding(
        key="ceae-b-log-y", place="appendix B", verdict="error", check=misplaced_logarithm, see="sec-neighbours",
        says=r"$\log Y_i = d(\log N + \log R_i)$.",
        finding=r"$\log Y_i = \log N + d\log R_i$. Harmless for gradients, as $\log N$ is constant; not for the "
                "value."),
    _finding(
        key="ceae-b-expansion", place="appendix B", verdict="holds if", check=expanded_distance, see="sec-neighbours",
        says=r"$\lVert\mu_i - \mu_j\rVert^2 \approx 2 - 2\langle\mu_i,\mu_j\rangle$.",
        finding=r"True if the norms are 1."),
    _finding(
        key="ceae-b-log1p", place="appendix B", verdict="holds if", check=logarithm_at_the_neighbour,
        see="sec-neighbours",
        says=r"$\langle\mu_i,\mu_j\rangle \ll 1$ with high probability, so $\log(1 - \langle\mu_i,\mu_j\rangle) "
             r"\approx -\langle\mu_i,\mu_j\rangle$.",
        finding="The relevant product is not a typical one but the largest over $j$. The step holds in 512 dimensions "
                "and fails in 32 or fewer."),
    _finding(
        key="ceae-b-last", place="appendix B", verdict="holds if",
        says=r"What remains is $\max_j \tfrac12\langle\mu_i,\mu_j\rangle$, up to scaling by $2/\tau$.",
        finding="The sign is right: the largest entropy goes with the least of the maxima. “Up to scaling” hides a "
                r"factor of order $d\tau$, so $\lambda_0$ does not carry over between latent sizes.",
        basis=r"Read: $\log Y_i$ carries the factor $d$, the loss the factor $1/\tau$.", see="sec-neighbours"),
    _finding(
        key="ceae-f-sphere", place="appendix F", verdict="holds if", check=layer_norm_sphere, see="sec-sphere",
        says="Layer norm puts $z$ on a sphere, where the uniform law maximises the entropy; a Gaussian has almost all "
             r"of its support near radius $\sqrt d$.",
        finding=r"Without its affine part, layer norm puts $z$ on the sphere of radius $\sqrt d$ **inside the "
                r"hyperplane** $\sum_j z_j = 0$, one dimension less. The uniform law maximises the entropy there. It "
                "is the mass, not the support, that lies near the shell."),
    _finding(
        key="ceae-e-pairs", place="appendix E", verdict="holds", check=pairs_of_sentences,
        says=r"1,000 sentences give $1000 \times 999 \times \tfrac12$ pairs.", finding="True."),
)
