"""Findings on the first paper's contrastive loss: its estimator of reference, its scale, batch norm, and its limits."""

import math
from functools import partial

import numpy as np
import torch

from ceae_core.audit.finding import Evidence, Finding
from ceae_core.audit.maths_contrast import (
    batch_normed,
    gap_recovered,
    inner_products,
    loss_at_convergence,
    neighbour_bias,
    normal_codes,
)
from ceae_core.audit.maths_population import (
    best_three_point,
    gaussian,
    gaussian_denominator,
    kernel_bias,
    population_denominator,
    stationarity_gap,
    two_humped,
    two_point,
    uniform,
)
from ceae_core.experiments.contrast_entropy import denominator, follow, rank_correlation, temperatures, visibility
from ceae_core.losses.contrastive import entropy_contrast
from ceae_core.report import published

BATCH = 128                     # a batch of 32 with three cached ones
GRID = np.linspace(-4.0, 4.0, 4001)
_finding = partial(Finding, paper="ceae", kind="equation")


def neighbour_bias_by_dimension(count: int = 1000) -> Evidence:
    """The bias of the Kozachenko-Leonenko estimate on Gaussian codes."""
    bias = {units: neighbour_bias(count, units) for units in (2, 8, 32, 128, 512)}
    said = ", ".join(f"{value:+.3f} ({units})" for units, value in bias.items())
    return Evidence(abs(bias[2]) < 0.03 < bias[32] < bias[128] < bias[512],
                    f"Bias in nats per dimension for {count:,} draws of N(0, I), by dimension: {said}; in all "
                    f"{512 * bias[512]:.0f} nats too many in 512 dimensions.",
                    {str(units): value for units, value in bias.items()})


def signs_of_the_loss() -> Evidence:
    """What a gradient step on the loss does to positive and negative similarities."""
    keys, other = normal_codes(8, 4, 1), normal_codes(8, 4, 2)
    mu = other.clone().requires_grad_()
    entropy_contrast(mu, keys, mu[:0]).sum().backward()
    after = mu.detach() - 1e-4 * mu.grad
    gain = float((after * keys).sum() - (other * keys).sum())
    crowding = float(denominator(after, 1.0).mean() - denominator(other, 1.0).mean())
    return Evidence(gain > 0 > crowding,
                    f"After one small step ⟨μ, μ⁺⟩ has risen by {gain:.2g} in all and the mean log-sum over the others "
                    f"has fallen by {-crowding:.2g}.",
                    {"gain": gain, "crowding": crowding})


def scale_of_the_loss() -> Evidence:
    """The loss per item with and without the positive in the denominator."""
    sizes = (2, 8, 32, 512)
    without, included = ({units: loss_at_convergence(normal_codes(BATCH, units), include_positive=positive)
                          for units in sizes} for positive in (False, True))
    said = [", ".join(f"{value:.4g} ({units})" for units, value in form.items()) for form in (without, included)]
    return Evidence(without[2] > 0 > without[32] > without[512] and 0 <= included[512] < 1e-6 < included[8],
                    f"{BATCH} Gaussian codes, τ = 1, μ⁺ = μ, by dimension: {said[0]}. With the positive in the "
                    f"denominator: {said[1]}.",
                    {"without 512": without[512], "with 512": included[512]})


def batch_norm_fixes_the_mean_similarity() -> Evidence:
    """Inner products in a batch that is normed by itself, and its rank."""
    batch, units = (int(published.setting("ceae", "LSTM", name).value) for name in ("minibatch", "latent_dimension"))
    codes = batch_normed(normal_codes(batch, units).exp())
    products, rank = inner_products(codes), int(torch.linalg.matrix_rank(codes))
    total, mean = float(products.sum()), float(products.mean())
    return Evidence(math.isclose(total, -batch * units, rel_tol=1e-9) and rank == batch - 1,
                    f"{batch} codes of {units} units: the inner products sum to {total:.1f}, so their mean is "
                    f"{mean:.3f}, and the batch has rank {rank}.",
                    {"mean": mean, "rank": float(rank)})


def gaussian_limit(units: int = 8, count: int = 4096, temperature: float = 3.0) -> Evidence:
    """The denominator of many correlated Gaussian codes against its limit."""
    covariance = 0.5 * np.eye(units) + 0.5
    codes = normal_codes(count, units) @ torch.from_numpy(np.linalg.cholesky(covariance)).T
    found = float(denominator(codes, temperature).mean())
    limit = gaussian_denominator(covariance, temperature)
    collapsed = gaussian_denominator(np.ones((units, units)), temperature)
    return Evidence(abs(found / limit - 1) < 0.1,
                    f"{count:,} codes in {units} dimensions with correlations of 0.5, τ = {temperature:g}: {found:.3f} "
                    f"nats, in the limit {limit:.3f}. With all coordinates equal, whose entropy is −∞, the limit is "
                    f"{collapsed:.2f}.",
                    {"found": found, "limit": limit, "collapsed": collapsed})


def discrete_optimum(temperature: float = 1.0) -> Evidence:
    """The denominator of unit-variance laws at a fixed temperature, and whether the best of them can be improved on."""
    best = best_three_point(temperature)
    laws = {"Gaussian": gaussian(), "uniform": uniform(), "two humps at ±0.8": two_humped(0.8), "±1": two_point(),
            "three points": best}
    nats = {name: population_denominator(law, temperature) for name, law in laws.items()}
    gap = stationarity_gap(best, temperature, GRID)
    said = ", ".join(f"{name} {value:.4f}" for name, value in nats.items())
    return Evidence(nats["three points"] < nats["±1"] < nats["Gaussian"] and abs(gap) < 1e-5,
                    f"Limit of the denominator at τ = {temperature:g}, nats per dimension, lower is better: {said}. "
                    f"The best three points are 0 and ±{best.points[2]:.3f} with {best.weights[1]:.3f} at 0; no small "
                    f"change of them on [−4, 4] gains more than {abs(gap):.0e} nats.", {**nats, "gap": gap})


def smoothing_bias() -> Evidence:
    """The bias of a Gaussian kernel of fixed width, in closed form and on draws."""
    units, temperature, count = 2, 1.0, 4096
    codes = normal_codes(count, units)
    squared = torch.cdist(codes, codes).square() / (2 * temperature)
    logs = (-squared).fill_diagonal_(-math.inf).logsumexp(1) - math.log(count - 1)
    entropy = 0.5 * units * math.log(2 * math.pi * temperature) - float(logs.mean())
    bias = entropy / units - 0.5 * math.log(2 * math.pi * math.e)
    formula = kernel_bias(temperature)
    whole = 512 * formula
    return Evidence(abs(bias - formula) < 0.03 and kernel_bias(1e-3) < 1e-3,
                    f"τ = {temperature:g}: {formula:.4f} nats per dimension too many, on {count:,} draws {bias:.3f}; "
                    f"{whole:.0f} nats in 512 dimensions. At τ = 0.001 it is {kernel_bias(1e-3):.1e}.",
                    {"bias": bias, "formula": formula})


def positive_left_out() -> Evidence:
    """The difference that the excluded positive makes, in a case where it can vanish."""
    gaps = {count: loss_at_convergence(normal_codes(count, 2), 3.0, include_positive=True)
            - loss_at_convergence(normal_codes(count, 2), 3.0) for count in (16, 128, 2048)}
    large = {count: loss_at_convergence(normal_codes(count, 512), include_positive=True)
             - loss_at_convergence(normal_codes(count, 512)) for count in (16, 128)}
    said = ", ".join(f"{value:.4f} for N = {count:,}" for count, value in gaps.items())
    return Evidence(gaps[16] > gaps[128] > gaps[2048] and gaps[2048] < 0.01 and large[128] > 300,
                    f"With the positive less without it, nats: {said} (2 dimensions, τ = 3); {large[128]:.0f} for N = "
                    "128 in 512 dimensions with τ = 1.",
                    {str(count): value for count, value in gaps.items()})


def follows_entropy(units: int = 512, batches: int = 6) -> Evidence:
    """Does the denominator follow the entropy: one family where it does, three where it does not."""
    found = {kind: {"result": follow(kind=kind, units=units, count=BATCH, batches=batches, seed=1)}
             for kind in ("sphere", "AR(1)", "two humps", "scale")}
    names = list(temperatures(units))
    humps = np.array([visibility(found["two humps"], name)[-1] for name in names])
    lost = {kind: made["result"]["entropy"][0] - np.array(made["result"]["entropy"]) for kind, made in found.items()}
    regress = {name: visibility(found["AR(1)"], name)[4] for name in names}
    ranks = {kind: rank_correlation(found[kind], "1") for kind in ("sphere", "scale")}
    values = {**ranks, "AR(1), √P": regress["√P"], "AR(1), 10 P": regress["10 P"],
              "two humps": float(np.abs(humps).max())}
    return Evidence(ranks["sphere"] > 0.99 and ranks["scale"] < -0.99 and values["two humps"] < 1.5
                    and regress["√P"] > 4 > 1 > regress["10 P"],
                    f"{units} dimensions, {batches} batches of {BATCH}. Rank correlation with the entropy at τ = 1: "
                    f"{ranks['sphere']:.2f} for concentration in a direction, {ranks['scale']:.2f} for overall scale. "
                    f"An AR(1) code that lacks {lost['AR(1)'][4]:.0f} nats stands out by {regress['√P']:.1f} standard "
                    f"deviations of a batch at τ = √P and by {regress['10 P']:.1f} at 10 P. A two-humped code that "
                    f"lacks {lost['two humps'][-1]:.0f} nats stands out by at most {values['two humps']:.1f} at any "
                    "τ.", values)


def calibrated_kernel(count: int = 1024) -> Evidence:
    """The share of an entropy gap on the sphere that the kernel with its true normaliser recovers."""
    shares = {(units, tau): gap_recovered(units, tau, count) for units in (2, 512) for tau in (0.05, 0.1)}
    said = "; ".join(f"{value:.2f} in {units} dimensions at τ = {tau:g}" for (units, tau), value in shares.items())
    few, many = ([share for (units, _), share in shares.items() if units == wanted] for wanted in (2, 512))
    return Evidence(min(few) > 0.85 and max(many) < 0.15,
                    f"{count:,} unit vectors, uniform against a mean of length 0.3; share of the gap that is seen: "
                    f"{said}.",
                    {f"{units}, {tau:g}": value for (units, tau), value in shares.items()})


FINDINGS: tuple[Finding, ...] = (
    _finding(
        key="ceae-neighbours", place="section 3.1", verdict="holds", check=neighbour_bias_by_dimension,
        see="sec-neighbours",
        says=r"$H \approx \frac1{N+1}\sum_i \log Y_i + \log B_d + \gamma$, $Y_i = N R_i^d$, $B_d$ the unit ball in "
             r"$\mathbb R^n$.",
        finding=r"True, with $\mathbb R^d$ for $\mathbb R^n$. From a fixed number of draws its bias grows with the "
                "dimension, and faster than in proportion."),
    _finding(
        key="ceae-loss", place="section 3.1", verdict="holds if", check=signs_of_the_loss, see="sec-contrast",
        says=r"Minimising $\mathcal L_\text{ent} = -\lambda_t \sum_i \log "
             r"\frac{\exp\langle\mu_i,\mu_i^+\rangle}{\sum_{j\ne i}\exp\langle\mu_i,\mu_j\rangle}$ keeps positives "
             "near and others apart.",
        finding="The signs are right. The positive is not in the denominator, so this is no log-probability and can be "
                "very negative; negatives come from the trained encoder, where momentum contrast takes them from the "
                r"slow one; the sum over the data stands beside a reconstruction per item, so the effective $\lambda$ "
                r"depends on an unstated reduction; $\theta' = m\theta' + (1-m)\theta$ is an update."),
    _finding(
        key="ceae-loss-scale", place="appendix B", verdict="holds if", check=scale_of_the_loss, see="sec-contrast",
        says="Generally the loss includes the positive in the denominator; the two forms do not differ asymptotically.",
        finding="At the batch sizes in use they are not interchangeable: in 512 dimensions the form with the positive "
                "is 0 and has no gradient left, the form without it is some hundreds of nats below 0."),
    _finding(
        key="ceae-loss-batch-norm", place="section 3", verdict="holds if", check=batch_norm_fixes_the_mean_similarity,
        see="sec-contrast",
        says="Batch norm fixes the first two moments of the code, and contrast then raises its entropy.",
        finding=r"In a batch that is normed by itself $\sum_{i\ne j}\langle\mu_i,\mu_j\rangle = -Bd$ exactly. At high "
                "temperature the first-order term of the denominator is that constant, and by Jensen's inequality the "
                "best batch is a regular simplex, not a Gaussian sample."),
    _finding(
        key="ceae-b-all-temperatures", place="appendix B", verdict="error", check=gaussian_limit, see="sec-population",
        says="“Asymptotic results guarantee convergence for all temperatures.”",
        finding="At a fixed temperature the denominator converges, but not to an entropy. For Gaussian codes with "
                r"covariance $\Sigma$ its limit is $\operatorname{tr}\Sigma^2/(2\tau^2)$: under batch norm a penalty "
                r"on squared correlations, finite where the entropy is $-\infty$."),
    _finding(
        key="ceae-b-optimum", place="appendix B", verdict="error", check=discrete_optimum, see="sec-population",
        says="Minimising the denominator makes the code Gaussian.",
        finding=r"For independent coordinates the limit is $\sum \mathbb E \log M(x/\tau)$ with $M$ their moment "
                r"generating function. Every bounded minimiser is **discrete**, and even $\pm 1$ beats the Gaussian at "
                r"every $\tau$."),
    _finding(
        key="ceae-b-kernel-bias", place="appendix B", verdict="error", check=smoothing_bias, see="sec-population",
        says="The kernel sum estimates the density, so its mean logarithm converges to the entropy.",
        finding=r"A kernel of fixed width estimates a smoothed density. The bias for $\mathcal N(0, I)$ is "
                r"$\tfrac12\bigl[\log(1+\tau) + \frac1{1+\tau} - 1\bigr]$ per dimension and vanishes only with "
                r"$\tau$."),
    _finding(
        key="ceae-b-positive", place="appendix B", verdict="holds if", check=positive_left_out, see="sec-contrast",
        says="Leaving the positive out makes no asymptotic difference.",
        finding=r"True for $N \to \infty$ at fixed $\tau$ and dimension; at finite $N$ the difference can be the whole "
                "loss."),
    _finding(
        key="ceae-b-entropy", place="appendix B", verdict="holds if", check=follows_entropy, see="sec-temperature",
        says="The contrastive loss approximates the entropy, up to scale and shift.",
        finding="It follows the entropy for correlations between coordinates and for concentration in a direction, for "
                r"every $\tau$ up to about $\sqrt d$. It has the wrong sign for overall scale, so batch norm is "
                r"indispensable; it is blind to the shape of coordinates; and it fades from $\tau \approx d$ upward, "
                "where the concentration argument would hold. There is no common scale between kinds of codes."),
    _finding(
        key="ceae-b-vmf", place="appendix B", verdict="holds if", check=calibrated_kernel, see="sec-temperature",
        says="The sum is a von Mises-Fisher kernel estimate of the density.",
        finding="True with its normaliser. In low dimension it then finds entropy gaps well; in 512 dimensions a small "
                "share of them at the usual temperatures."),
)
