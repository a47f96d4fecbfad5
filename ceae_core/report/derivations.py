"""Figures and tables of the derivations: each point is computed from the functions that the audit checks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats

from ceae_core.audit import FINDINGS
from ceae_core.audit import maths_channel as channel
from ceae_core.audit import maths_contrast as contrast
from ceae_core.audit import maths_population as population
from ceae_core.audit.finding import Finding
from ceae_core.audit.maths_dual import exact_model
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.experiments import contrast_entropy
from ceae_core.experiments.dual_estimator import circle_optimum
from ceae_core.losses.entropy import kozachenko_leonenko
from ceae_core.measure import latent
from ceae_core.report.audit import anchor
from ceae_core.report.figures import Line, Panel
from ceae_core.report.tables import Cell, Table
from ceae_core.runs import Run

NOISES = tuple(np.geomspace(0.1, 4.0, 60).tolist())
SHOWN_NOISES = (0.3, 0.7, 2.0)
DIMENSIONS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
SEARCHED = (0.5, 1.0, 2.0)                          # temperatures at which a law is searched for
GRID = np.linspace(-2.5, 2.5, 51)                   # where the searched law may have its points
NEAR = 1.75                                         # the part of the certificate in which it comes near 0
CODES = 2000                                        # at most, behind the shape of a code
BIN = 0.25

Content = Mapping[str, Any]                         # what `experiments.obtain` returns


@dataclass(frozen=True)
class Pointer:
    """Links to findings of the audit, as MyST; its cell needs the metadata {"mystnb": {"markdown_format": "myst"}}."""

    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        return "In the audit: " + ", ".join(finding.key for finding in self.findings)

    def _repr_markdown_(self) -> str:
        links = ", ".join(f"{{ref}}`{finding.key} <{anchor(finding)}>`" for finding in self.findings)
        return f"*In the audit:* {links}."


def pointer(section: str) -> Pointer:
    """The findings that are argued in the section with this label.  Raises CeaeError when there are none."""
    found = tuple(finding for finding in FINDINGS if finding.see == section)
    if not found:
        raise CeaeError(f"section: no finding is argued under {section!r}; correct the label, or `see` of the findings")
    return Pointer(found)


def aggregate_table() -> Table:
    """The objective with the KL of all codes together, in small models whose every term is a finite sum."""
    rows = []
    for name, blur in (("exact", 0.0), ("blurred", 0.3)):
        model = exact_model(sentences=5, codes=3, seed=1, blur=blur)
        rows.append({"posterior": name, "E ln p(x)": model.log_p, "reconstruction": model.rec, "KL | mean": model.kl,
                     "KL | of all codes": model.kl_aggregate, "I(x; z)": model.information,
                     "ELBO": model.rec - model.kl, "with the KL of all codes": model.rec - model.kl_aggregate})
    return Table(rows, "Five sentences, three codes, nats", name="aggregate-objective", places=4)


# the channel ---------------------------------------------------------------------------------------------------------

def shortfall_panels() -> list[Panel]:
    """What a code of +-1 lacks to capacity against the noise, and the density of what the decoder sees."""
    short = Line("±1 lacks", NOISES, [channel.two_point_shortfall(noise) for noise in NOISES], 0)
    capacity = Line("capacity", NOISES, [channel.capacity(noise) for noise in NOISES], 1)
    grid = np.linspace(-5.5, 5.5, 441)
    seen = [Line(f"c = {noise:g}", grid, channel.two_point_density(grid * math.hypot(1.0, noise), noise)
                 * math.hypot(1.0, noise), i) for i, noise in enumerate(SHOWN_NOISES)]
    return [Panel("Information of a binary code", "noise c", "nats per dimension", [short, capacity],
                  logarithmic="both"),
            Panel("Density of z, scaled to variance 1", "z / sd(z)", "density",
                  [*seen, Line("Gaussian", grid, stats.norm.pdf(grid), 6)])]


def capacity_panel(demand: channel.Demand, slack: float, sizes: Sequence[int], epochs: int) -> Panel:
    """The capacity of the code by epoch under the rule's c0, for several latent sizes, and what a training set has."""
    times = list(range(1, epochs + 1))
    lines = [Line(f"{units} units", times,
                  [units * channel.capacity(demand.noise(units, slack) / t) for t in times], i)
             for i, units in enumerate(sizes)]
    return Panel("", "epoch t", "capacity (nats)", lines, {f"ln M, {demand.corpus}": math.log(demand.sentences)},
                 logarithmic=True)


def capacity_table(demands: Sequence[channel.Demand], slack: float, sizes: Sequence[int]) -> Table:
    """The rule for c0 on the corpora that are known here."""
    rows = [{"corpus": d.corpus, "sentences M": d.sentences, "segments S": Cell(d.segments, f"{d.segments:,.0f}"),
             "nats | ln M": math.log(d.sentences), "nats | ln S": math.log(d.segments),
             f"nats | ln {slack:g}S": math.log(slack * d.segments),
             **{f"c₀ | P = {units}": d.noise(units, slack) for units in sizes},
             **{f"c₀ without the factor {slack:g} | P = {units}": d.noise(units, 1.0) for units in sizes},
             "segments known": d.basis} for d in demands]
    notes = ["S counts segments of two words or more in the training split, the end symbol not counted."]
    return Table(rows, "The capacity rule on training splits", notes, "capacity-rule", places=3)


# estimators ----------------------------------------------------------------------------------------------------------

def neighbour_panel(scale: str) -> Panel:
    """The bias of the Kozachenko-Leonenko estimate on N(0, I) by dimension and number of draws, few at scale smoke."""
    counts = (32, 64) if scale == "smoke" else (128, 1000)
    lines = [Line(f"{count:,} draws", DIMENSIONS, [contrast.neighbour_bias(count, units) for units in DIMENSIONS], i)
             for i, count in enumerate(counts)]
    return Panel("", "dimension", "bias (nats per dimension)", lines, {"": 0.0}, logarithmic="x")


def scale_table(sizes: Sequence[int], count: int) -> Table:
    """The loss on Gaussian codes with and without the positive in the denominator, and how many negatives count."""
    rows = []
    for units in sizes:
        codes = contrast.normal_codes(count, units)
        rows.append({"dimension": units, "loss, τ = 1 | without the positive": contrast.loss_at_convergence(codes),
                     "loss, τ = 1 | with it": contrast.loss_at_convergence(codes, include_positive=True),
                     **{f"effective negatives at τ = | {name}": contrast.effective_terms(codes, tau)
                        for name, tau in contrast_entropy.temperatures(units).items()}})
    notes = [f"{count} draws of N(0, I) as codes, μ⁺ = μ; {count - 1} negatives each."]
    return Table(rows, "The loss at convergence", notes, "loss-scale")


def entropy_panels(contents: Sequence[Content], names: Sequence[str]) -> list[Panel]:
    """How far the denominator of each member of a family stands out from that of the most random one, a panel for each
    temperature of `names` in the second smallest and the largest dimension; above 0 is the right direction."""
    dimensions = sorted({c["parameters"]["units"] for c in contents})
    panels = []
    for units in sorted({dimensions[1], dimensions[-1]}):
        for name in names:
            lines = [Line(c["parameters"]["kind"], range(1, 1 + len(c["result"]["level"])),
                          contrast_entropy.visibility(c, name), i)
                     for i, c in enumerate(c for c in contents if c["parameters"]["units"] == units)]
            panels.append(Panel(f"P = {units}, τ = {name}", "member", "sd of a batch", lines, {"": 0.0},
                                logarithmic="symmetric"))
    return panels


def entropy_table(contents: Sequence[Content]) -> Table:
    """Does the denominator follow the entropy: rank correlation, and whether the least random member can be seen."""
    rows = []
    for c in contents:
        nats, units = c["result"]["entropy"], c["parameters"]["units"]
        names = list(contrast_entropy.temperatures(units))
        rows.append({"codes": c["parameters"]["kind"], "P": units,
                     "entropy lost (nats) | middle": nats[0] - nats[len(nats) // 2],
                     "entropy lost (nats) | last": nats[0] - nats[-1],
                     **{f"rank correlation at τ = | {name}": contrast_entropy.rank_correlation(c, name)
                        for name in names},
                     **{f"last member (sd of a batch) at τ = | {name}":
                        float(contrast_entropy.visibility(c, name)[-1]) for name in names}})
    size = contents[0]["parameters"]
    notes = [f"{size['batches']} batches of {size['count']} codes per member. Rank correlation of minus the "
             "denominator with the entropy. Last member: distance of its denominator from that of the most random one, "
             "in standard deviations of a difference between two batches; positive is the right direction."]
    return Table(rows, "Entropy and denominator", notes, "entropy-denominator", digits={
        column: 1 for column in rows[0] if "(" in column})


# the limit -----------------------------------------------------------------------------------------------------------

def optimum_panels() -> list[Panel]:
    """Distribution functions of the laws found by search at several temperatures, and the certificate of the best three
    points at tau = 1: its first variation less the quadratic that its constraints allow, nowhere below 0."""
    grid, fine, near = GRID, np.linspace(-3.0, 3.0, 301), np.linspace(-NEAR, NEAR, 401)
    found = [Line(f"τ = {temperature:g}", grid, np.cumsum(population.least_on_grid(temperature, grid).weights), i)
             for i, temperature in enumerate(SEARCHED)]
    best = population.best_three_point(1.0)
    return [Panel("Laws found by search", "x", "probability up to x",
                  [*found, Line("Gaussian", fine, stats.norm.cdf(fine), 6)], steps=True),
            Panel("First variation at τ = 1, excess", "x", "nats",
                  [Line("excess", near, certificate(best, 1.0, near), 0)], {"": 0.0})]


def certificate(law: population.Law, temperature: float, at: np.ndarray) -> np.ndarray:
    """phi(x) - (a + b x^2) at x (N,) for a three-point law, a and b such that it is 0 at the three points."""
    middle, side = population.first_variation(law, temperature, law.points[1:])
    return population.first_variation(law, temperature, at) - middle - (side - middle) * (at / law.points[2]) ** 2


def laws_table(temperatures: Sequence[float] = SEARCHED) -> Table:
    """The limit of the denominator for several laws of mean 0 and variance 1."""
    laws = {"Gaussian": population.gaussian(), "two humps at ±0.8": population.two_humped(0.8),
            "uniform": population.uniform(), "±1": population.two_point()}
    rows = [{"law": name, **{f"nats per dimension at τ = | {tau:g}": population.population_denominator(law, tau)
                             for tau in temperatures}} for name, law in laws.items()]
    best = {tau: population.best_three_point(tau) for tau in temperatures}
    rows.append({"law": "best three points", **{
        f"nats per dimension at τ = | {tau:g}": Cell(value := population.population_denominator(law, tau),
                                                     f"{value:.4f}, at 0 and ±{law.points[2]:.2f}")
        for tau, law in best.items()}})
    return Table(rows, "The limit of the denominator, lower is better", name="population-laws", places=4)


# codes of trained models ---------------------------------------------------------------------------------------------

def standardised_codes(runs: Mapping[str, Run]) -> dict[str, torch.Tensor]:
    """Label -> mean codes of the run's first test sentences, every unit with mean 0 and variance 1 (N, P), float64."""
    found = {}
    for label, run in runs.items():
        sentences = run.spec.load_corpus().splits["test"].sentences[:CODES]
        mu, _ = latent.codes(run.model(), Encoded(sentences, run.vocabulary()), torch.device("cpu"))
        found[label] = contrast.batch_normed(mu)
    return found


def shape_panel(codes: Mapping[str, torch.Tensor]) -> Panel:
    """The distribution of all units of each code together, beside the normal density."""
    edges = np.arange(-4.0, 4.0 + BIN / 2, BIN)
    centres = (edges[1:] + edges[:-1]) / 2
    lines = [Line(name, centres, np.histogram(values.numpy().ravel(), edges, density=True)[0], i)
             for i, (name, values) in enumerate(codes.items())]
    return Panel("", "standardised unit", "density", [*lines, Line("N(0, 1)", centres, stats.norm.pdf(centres), 6)])


def shape_table(codes: Mapping[str, torch.Tensor]) -> Table:
    """What each code lacks to independent Gaussian units: by the shape of its units, and by their correlation."""
    rows = []
    for name, values in codes.items():
        n, units = values.shape
        shape = [contrast.gaussian_entropy(1) - float(kozachenko_leonenko(unit[:, None], nearest=1e-9).mean())
                 for unit in values.T]
        eigenvalues = torch.linalg.eigvalsh(values.T @ values / n)
        rows.append({"code": name, "units": units, "codes": n,
                     "excess kurtosis | mean": float((values ** 4).mean() - 3.0),
                     "excess kurtosis | most extreme unit": float(max(((values ** 4).mean(0) - 3.0).tolist(), key=abs)),
                     "lacking (nats per unit) | shape, mean": float(np.mean(shape)),
                     "lacking (nats per unit) | correlation": -0.5 * float(eigenvalues.log().sum()) / units,
                     "largest eigenvalue": float(eigenvalues[-1])})
    notes = ["Shape: entropy of N(0, 1) less the nearest-neighbour estimate of each unit. Correlation: "
             "−½ ln det of the correlation matrix, what a Gaussian code with it lacks."]
    return Table(rows, "Codes of test sentences against N(0, I)", notes, "code-shapes")


# duals ---------------------------------------------------------------------------------------------------------------

def dual_panels(kls: Sequence[float] = tuple(np.linspace(0.0, 12.0, 61).tolist())) -> list[Panel]:
    """The minimum of the circle loss as a function of the KL, and what each dual reads at its best critic."""
    best = [circle_optimum(kl) for kl in kls]
    return [Panel("Minimum of Eq. 13", "KL (nats)", "value", [Line("V", kls, [each.loss for each in best], 0)],
                  {"log 2": math.log(2.0)}, lowest=0.0),
            Panel("Reading of the best critic", "KL (nats)", "nats",
                  [Line("KL, Eq. 3 with + 1", kls, kls, 6), Line("Eq. 3 as printed", kls, [kl - 1.0 for kl in kls], 1),
                   Line("best critic of Eq. 13", kls, [each.dual for each in best], 2),
                   Line("value of Eq. 13", kls, [each.loss for each in best], 0)], {"": 0.0})]
