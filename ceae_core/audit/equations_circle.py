"""Findings on the second paper's circle loss and training algorithm, its synthetic loss and its measures."""

import math
from functools import partial

import numpy as np
import sympy

from ceae_core.audit.finding import Evidence, Finding
from ceae_core.audit.maths_dual import (
    circle_reward,
    cluster_loss,
    kl_divergence,
    random_laws,
    searched_circle_minimum,
    softplus,
    summed_gradient_weight,
)
from ceae_core.experiments.dual_estimator import circle_optimum
from ceae_core.report import published

BATCHES = (32, 64)              # sentences; the paper gives no batch size for text
KLS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0)
_finding = partial(Finding, paper="clvm", kind="equation")


def impossible_constraint() -> Evidence:
    """Whether E_P exp f can be negative."""
    f = sympy.symbols("f", real=True)
    least = sympy.limit(sympy.exp(f), f, -sympy.oo)
    return Evidence(bool(sympy.exp(f).is_positive) and least == 0,
                    f"exp f is positive for every real f and tends to {least} from above.", {"infimum": float(least)})


def value_of_the_circle_loss(laws: int = 5) -> Evidence:
    """The minimum of Eq. 13 as a function of the KL, in closed form and by search on random laws."""
    values = {kl: circle_optimum(kl).loss for kl in KLS}
    errors = []
    for seed in range(laws):
        q, p = random_laws(6, seed, 2.0)
        errors.append(abs(searched_circle_minimum(q, p) - circle_optimum(kl_divergence(q, p)).loss))
    said = ", ".join(f"{value:.3f} ({kl:g})" for kl, value in values.items())
    return Evidence(list(values.values()) == sorted(values.values(), reverse=True) and max(errors) < 1e-9
                    and math.isclose(values[50.0], math.log(2), rel_tol=1e-6),
                    f"Minimum by true KL: {said}; log 2 = {math.log(2):.3f}. Search on {laws} random laws agrees to "
                    f"{max(errors):.0e}.",
                    {f"{kl:g}": value for kl, value in values.items()})


def reward_for_divergence() -> Evidence:
    """The derivative of Eq. 15 in the KL at the critic's optimum, by formula and by difference."""
    step, kls = 1e-4, (0.5, 1.0, 5.0, 10.0)
    formula = {kl: circle_reward(kl) for kl in kls}
    difference = {kl: (circle_optimum(kl - step).loss - circle_optimum(kl + step).loss) / (2 * step) for kl in kls}
    said = ", ".join(f"{value:.3f} ({kl:g})" for kl, value in formula.items())
    return Evidence(all(math.isclose(formula[kl], difference[kl], rel_tol=1e-3) and formula[kl] > 0 for kl in kls),
                    f"Change of the objective per nat of KL: {said}, all positive; that of an ELBO is −1.",
                    {f"{kl:g}": value for kl, value in formula.items()})


def missing_square() -> Evidence:
    """Eq. 17 with views swapped, and Eq. 18 while the critic raises its value at the second view."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, BATCHES[0]))
    printed, swapped = float((first - second).sum()), float((second - first).sum())
    square = float(np.square(first - second).sum())
    low = [-total + softplus(0.0) + 2 * softplus(0.0) + softplus(-total) for total in (10.0, 100.0, 1000.0)]
    return Evidence(printed == -swapped != 0 and math.isclose(square, float(np.square(second - first).sum()))
                    and low[2] < low[1] < low[0] < 0,
                    f"Printed: {printed:.2f}, with the views swapped {swapped:.2f}; squared: {square:.2f} both ways. "
                    "With Σf⁺ = 10, 100, 1000, Σf = 0 and f far below 0 at the prior, Eq. 18 is about "
                    f"{', '.join(f'{value:.0f}' for value in low)}.",
                    {"printed": printed, "low": low[2]})


def sums_in_the_softplus() -> Evidence:
    """The second term of Eq. 18 at f = 0 with sums and with means."""
    batch = BATCHES[0]
    summed, mean = softplus(batch * 1.0), softplus(1.0)
    return Evidence(summed > 20 * mean,
                    f"f = 0, {batch} sentences: {summed:.2f} with the sum, {mean:.2f} with the mean.",
                    {"sum": summed, "mean": mean})


def saturated_encoder() -> Evidence:
    """The encoder's gradient weight in Eq. 19 once the critic separates a little."""
    weights = {(mean, batch): summed_gradient_weight(mean, batch) for mean, batch in
               ((0.2, BATCHES[0]), (0.2, BATCHES[1]), (1.0, BATCHES[0]))}
    said = ", ".join(f"{value:.1e} for a mean f of {mean:g} over {batch}" for (mean, batch), value in weights.items())
    return Evidence(all(value < 2e-3 for value in weights.values()), f"Weight of the gradient: {said}.",
                    {f"{mean:g}, {batch}": value for (mean, batch), value in weights.items()})


def sign_of_the_cluster_loss() -> Evidence:
    """The printed and the corrected loss as the wrong logits grow."""
    categories = int(published.setting("clvm", "synthetic", "K_small").value)
    printed, right = ([cluster_loss(np.r_[5.0, np.full(categories - 1, wrong)], 0, sign) for wrong in (0.0, 5.0, 50.0)]
                      for sign in (1.0, -1.0))
    return Evidence(printed == sorted(printed, reverse=True) and right == sorted(right) and printed[2] < -100,
                    f"{categories} categories, the right logit at 5, the wrong ones at 0, 5 and 50: printed "
                    f"{', '.join(f'{value:.1f}' for value in printed)}; corrected "
                    f"{', '.join(f'{value:.1f}' for value in right)}.",
                    {"printed": printed[1], "right": right[1]})


FINDINGS: tuple[Finding, ...] = (
    _finding(
        key="clvm-constraint", place="section 3.3", verdict="error", check=impossible_constraint, see="sec-circle",
        says=r"A new constraint, $\mathbb E_Q f > 0 > \mathbb E_P \exp f$.",
        finding=r"Impossible, since $\exp f > 0$. The text below Eq. 13 has $\mathbb E_P f$ much less than 0, probably "
                "what is meant."),
    _finding(
        key="clvm-eq-13-14", place="Eq. 13, 14", verdict="error", check=value_of_the_circle_loss, see="sec-circle",
        says=r"$\mathrm{KL} = \min_f \log(1 + e^{-\mathbb E_Q f}) + \log(1 + \exp \mathbb E_P e^{f})$.",
        finding=r"The minimum depends on the KL alone, but **falls** from 1.98 at $Q = P$ to $\log 2$; it is never 0. "
                "It is positive, as wanted, and not a KL. Nor is it the circle loss {cite:p}`sun2020circle`, which has "
                "one softplus around the whole."),
    _finding(
        key="clvm-eq-15-16", place="Eq. 15, 16", verdict="error", check=reward_for_divergence, see="sec-circle",
        says=r"Maximise $\log P + \mathcal L_\mathrm{CL} - \operatorname{softplus}(-\mathbb E_Q f) - "
             r"\operatorname{softplus}(\mathbb E_P e^f)$.",
        finding="With the best critic this rewards distance from the prior: its derivative in the KL is "
                r"$\sigma(-\mathbb E_Q f^\star) > 0$, where an ELBO has $-1$. Corrected: the critic keeps this loss, "
                r"the encoder minimises $\mathbb E_Q f$, as iVAE does."),
    _finding(
        key="clvm-eq-17", place="Eq. 17", verdict="error", check=missing_square, see="sec-circle",
        says=r"$L_\mathrm{SQ} = \sum_i \bigl(f(\mathbf x_i, z_{x,i}) - f(\mathbf x_i, z_{x,i}^+)\bigr)$, a squared "
             "loss.",
        finding=r"$L_\mathrm{SQ} = \sum_i \bigl(f(\mathbf x_i, z_{x,i}) - f(\mathbf x_i, z_{x,i}^+)\bigr)^2$. As "
                "printed it changes sign when the views are swapped, and Eq. 18 has no lower bound."),
    _finding(
        key="clvm-eq-18", place="Eq. 18", verdict="holds if", check=sums_in_the_softplus, see="sec-circle",
        says=r"The critic minimises softplus terms of sums over the minibatch.",
        finding="The direction is right. Eq. 13 has expectations where this has sums, so the value and the gradient "
                "depend on the batch size."),
    _finding(
        key="clvm-eq-19", place="Eq. 19 and Algorithm 1", verdict="error", check=saturated_encoder, see="sec-circle",
        says=r"The encoder minimises $-\sum \log P(\mathbf x_i\mid z_i) - \dots + \operatorname{softplus}(-\sum_i "
             r"f(\mathbf x_i, z_{x,i}))$.",
        finding="(i) $z_i$ is drawn from the *prior* in step 5; reconstruction needs $z_{x,i}$ and $z_{x,i}^+$. (ii) "
                "The softplus has the sign of Eq. 15, so encoder and critic cooperate. (iii) The sum saturates it: "
                "once the critic separates a little, no prior term is left. The loop counts epochs but its body is one "
                "minibatch."),
    _finding(
        key="clvm-au", place="section 4.2", verdict="typo",
        says=r"AU is $\mathrm{Cov}_x(\mathbb E[z]) > 0.01$.",
        finding="The number of dimensions for which that holds {cite:p}`burda2016importance`.",
        basis="Read, beside the definition it follows."),
    _finding(
        key="clvm-synthetic-loss", place="section 4.1", verdict="error", check=sign_of_the_cluster_loss,
        says=r"$L = -\mathbf e_k \log\sigma(\mathbf y_k) + \sum_{i\ne k}(1 - \mathbf e_i)\log(1 - \sigma(\mathbf "
             "y_i))$.",
        finding=r"$L = -\log\sigma(\mathbf y_k) - \sum_{i\ne k}\log(1 - \sigma(\mathbf y_i))$; as printed it has no "
                r"lower bound. $\mathbf x$ has $K + 2$ entries and $\mathbf y$ has $K$, so the noise is not "
                "reconstructed."),
    _finding(
        key="clvm-interpolation", place="section 4.5", verdict="holds",
        says=r"$\mathbf z = \lambda \mathbf z_1 + (1 - \lambda)\mathbf z_2$.",
        finding=r"True; $\lambda = 0$ is the second sentence.",
        basis="Read: the definition, beside the table of sentences."),
)
