"""The case of layer norm on a page: what it fixes, what the codes then look like, what the prior makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ceae_core.experiments import layer_norm
from ceae_core.experiments.layer_norm import PRIORS
from ceae_core.measure.moments import Moments
from ceae_core.report.figures import Line, Panel
from ceae_core.report.results import Result
from ceae_core.report.tables import Cell, Table
from ceae_core.spec import RunSpec

PRIOR = "prior N(0, I)"
NAMES = {"layer": "layer norm", "batch": "batch norm", "none": "no norm"}


@dataclass(frozen=True)
class Codes:
    """The codes of one run, with what the grammar says of samples; `name` is what pages call it."""

    name: str
    norm: str                       # layer, batch or none
    units: int
    moments: Moments
    nearest: float
    scores: Mapping[str, Mapping[str, Any]]
    id: str


def name(result: Result) -> str:
    """As the result is called, with the norm where it is not that of its family."""
    usual = {"ceae-ln": "layer", "ceae": "batch", "bn-vae": "batch"}.get(result.family, "none")
    norm = result.options.get("norm", "none")
    return result.name if norm == usual else f"{result.family} with {NAMES[norm]}"


def of(specs: Sequence[RunSpec], results: Sequence[Result], **more: Any) -> list[Codes]:
    """The codes of these runs, then draws from the prior; `more` goes to `experiments.layer_norm.obtain`."""
    found = []
    for spec, result in zip(specs, results, strict=True):
        content = layer_norm.obtain(spec, **more)
        made = content["result"]
        found.append(Codes(name(result), spec.options.get("norm", "none"), spec.settings.latent,
                           Moments(**made["codes"]), made["nearest"], made["scores"], content["id"]))
    last = made["prior"], made["nearest_prior"]
    return [*found, Codes(PRIOR, "none", spec.settings.latent, Moments(**last[0]), last[1], {}, content["id"])]


def fixed(codes: Sequence[Codes], caption: str, name: str) -> Table:
    """What the norms fix: by sentence, by unit, and how the squared norm is shared by the mean code and the rest."""
    rows = []
    for each in codes:
        m = each.moments
        rows.append({"codes": each.name,
                     "by sentence | norm": Cell(m.norm_mean, f"{m.norm_mean:.2f} ± {m.norm_sd:.2f}"),
                     "by sentence | along (1, …, 1)": m.along_ones,
                     "by unit | largest mean": float(np.abs(m.means).max()),
                     "by unit | variance": Cell(float(np.mean(m.variances)),
                                                f"{min(m.variances):.2f} to {max(m.variances):.2f}"),
                     "squared norm | in the mean code": m.in_the_mean, "squared norm | around it": m.around_it,
                     "directions without variance": m.empty()})
    units = codes[0].units
    return Table(rows, caption, [f"Norm: mean ± standard deviation over test sentences; √{units} = {units ** 0.5:.2f}. "
                                 "Along (1, …, 1): root mean square. Largest mean: in size, over the units. The last "
                                 "counts eigenvalues of the covariance below a millionth of the largest."], name)


def shape(codes: Sequence[Codes], caption: str, name: str) -> Table:
    """How far codes are from the prior in what no norm fixes."""
    units = codes[0].units
    rows = [{"codes": each.name, "mean absolute correlation of two units": each.moments.correlation,
             "kurtosis of a unit | mean": float(np.mean(each.moments.kurtoses)),
             "kurtosis of a unit | least": min(each.moments.kurtoses),
             "eigenvalues of the covariance | largest": each.moments.spectrum[0],
             "eigenvalues of the covariance | median": float(np.median(each.moments.spectrum)),
             "largest cosine with another code, mean": each.nearest} for each in codes]
    return Table(rows, caption, [f"A Gaussian has kurtosis 3, the uniform law on the sphere of layer norm "
                                 f"{sphere_kurtosis(units):.2f}."], name)


def sphere_kurtosis(units: int) -> float:
    """Of one coordinate of the uniform law on {sum z = 0, |z|^2 = units}: 3 n / (n + 2) with n = units - 1."""
    return 3.0 * (units - 1) / (units + 1)


def priors(codes: Sequence[Codes], caption: str, name: str) -> Table:
    """Samples from the prior as it is, and from the same draws put on the sphere of layer norm."""
    rows = [{"model": each.name,
             **{f"grammatical (share) | {prior}": each.scores[prior]["grammatical"] for prior in PRIORS},
             **{f"true forward perplexity | {prior}": each.scores[prior]["ppl_word"] for prior in PRIORS}}
            for each in codes if each.scores]
    count = next((each.scores[PRIORS[0]]["sentences"] for each in codes if each.scores), 0)
    error = 0.5 / max(count, 1) ** 0.5
    return Table(rows, caption, [f"{count:,} sentences each, drawn word by word, from the same draws of N(0, I); the "
                                 f"standard error of a share is at most {error:.3f}."], name)


def panels(codes: Sequence[Codes]) -> list[Panel]:
    """By unit in order: means and variances; the spectrum of the covariance."""
    def lines(values: Any, descending: bool = False) -> list[Line]:
        return [Line(each.name, np.arange(1, each.units + 1), np.sort(values(each.moments))[::-1 if descending else 1],
                     i) for i, each in enumerate(codes)]
    return [Panel("Unit means", "unit, in order", "mean over sentences", lines(lambda m: m.means)),
            Panel("Unit variances", "unit, in order", "variance over sentences", lines(lambda m: m.variances)),
            Panel("Spectrum", "direction, in order", "eigenvalue of the covariance",
                  lines(lambda m: np.maximum(m.spectrum, 1e-4), True), logarithmic=True)]


def floor(units: int, gamma: float | None = None) -> float:
    """The least KL (nats) of a Gaussian posterior whose mean is normed, to the prior N(0, I): half the squared norm.

    By layer norm the norm is sqrt(units) for every sentence; by batch norm with scale gamma gamma sqrt(units) on
    average (zhu2020batch, sec. 4).
    """
    return units / 2 * (gamma if gamma is not None else 1.0) ** 2


def training(results: Sequence[Result], caption: str, table_name: str) -> Table:
    """Rec, KL with its floor, and the valid bound."""
    rows = []
    for result in results:
        norm, gamma = result.options.get("norm", "none"), result.options.get("gamma")
        bounded = result.metric("kl_nats") is not None and norm != "none"
        rows.append({"model": name(result), "norm": NAMES[norm], "Rec (nats)": result.metric("rec_nats_per_sentence"),
                     "KL (nats)": result.metric("kl_nats"),
                     "KL can be (nats)": floor(result.settings["latent"], gamma if norm == "batch" else None)
                     if bounded else None,
                     "−ELBO (nats)": result.metric("nelbo_nats_per_sentence"),
                     "IW bound (nats)": result.metric("nll_iw_nats"), "AU (units)": result.metric("active_units"),
                     "run": Cell(result.id, result.id.rsplit("-", 1)[-1][:8], result.id)})
    return Table(rows, caption, ["Nats are per sentence, its end counted. –: the family has no such quantity. KL can "
                                 "be: its least value under the norm, by batch norm on average over training "
                                 "batches."], table_name)
