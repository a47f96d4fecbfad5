"""Synthetic clusters: trainings side by side, when categories separate, and what the paper says of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ceae_core import experiments
from ceae_core.experiments import clusters
from ceae_core.report.figures import Line, Panel
from ceae_core.report.tables import Cell, Download, Table

SEPARATED = 0.99        # nearest-centroid accuracy from which categories count as separated
NEARLY = 0.9
DIP = -1.0              # nats; panels cut off what a critic reads below
NOT_RECORDED = "not recorded"
MEASURES = {            # name -> what an axis says
    "accuracy": "nearest-centroid accuracy",
    "intra": "intra-class distance",
    "inter": "inter-class distance",
    "ratio": "inter- / intra-class distance",
    "second_moment": "mean square of a unit",
    "bce": "Rec (nats)",
    "kl": "KL (nats)",
    "sum": "Rec + KL (nats)",
}
OURS = ("cvae", "cvae+", "cvae+ adversarial")      # the paper says "our model" and not which


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper about the pictures of its Table 5.

    `separates`: whether it says that the categories are apart then, of every one of `models` or, where these are the
    readings of "our model", of one.
    """

    text: str
    categories: int
    step: int
    models: tuple[str, ...]
    separates: bool = True


CLAIMS = (      # clvm, sec. 4.4
    Claim("our model only needs 3.5K epochs to converge", 4, 3500, OURS),
    Claim("after 5K epochs, iVAE is still struggling to cluster these points", 4, 5000, ("ivae",), separates=False),
    Claim("both VAE and iVAE take 80K epochs to converge", 4, 80_000, ("vae", "ivae")),
    Claim("our model obtains a decent separation boundaries using only 5K epochs", 8, 5000, OURS),
    Claim("iVAE fails to converge even using 80K training epochs", 8, 80_000, ("ivae",), separates=False),
    Claim("after training 80K epochs, our model successfully cluster the input data", 8, 80_000, OURS),
    Claim("the class boundaries appear after 5K epochs, but not so clear", 16, 5000, OURS, separates=False),
    Claim("with 80K training epochs, our models can manage to reconstruct the input categories", 16, 80_000, OURS),
)


@dataclass(frozen=True)
class Trained:
    """A training of one model on K categories with several seeds, read from its stored result."""

    id: str
    parameters: Mapping[str, Any]
    steps: np.ndarray                       # (L,)
    measures: Mapping[str, np.ndarray]      # name -> (L, S); NaN where a seed overflowed
    codes: Mapping[int, np.ndarray]         # step -> (K, n, 2), of the first seed

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Trained":
        result = content["result"]
        return cls(content["id"], content["parameters"], np.array(result["steps"]),
                   {name: np.array(values, dtype=float) for name, values in result["measures"].items()},
                   {int(step): np.array(points, dtype=float) for step, points in result["codes"].items()})

    @property
    def model(self) -> str:
        return self.parameters["model"]

    @property
    def categories(self) -> int:
        return self.parameters["categories"]

    @property
    def masked(self) -> bool:
        return bool(self.parameters.get("mask_same_class"))

    @property
    def title(self) -> str:
        return clusters.MODELS[self.model].title + (", masked" if self.masked else "")

    def first(self, level: float, measure: str = "accuracy") -> list[int | None]:
        """For each seed the first measured step at which a share is at least `level`, None if there is none."""
        return [_first(self.steps, column >= level) for column in self.measures[measure].T]

    def lasting(self, level: float) -> list[int | None]:
        """For each seed the first measured step from which on the accuracy is at least `level` to the end, or None."""
        stays = np.logical_and.accumulate(self.measures["accuracy"][::-1] >= level)[::-1]
        return [_first(self.steps, column) for column in stays.T]

    def values(self, measure: str) -> np.ndarray:
        """(L, S); `sum` is Rec + KL, `ratio` the inter- over the intra-class distance, which knows no scale."""
        if measure == "sum":
            return self.measures["bce"] + self.measures["kl"]
        if measure == "ratio":
            inter, intra = self.measures["inter"], self.measures["intra"]
            return np.divide(inter, intra, out=np.full_like(inter, np.nan), where=intra > 0)
        return self.measures[measure]

    def at(self, measure: str, step: float) -> np.ndarray | None:
        """The measure (S,) at the measured step nearest to `step`; None if the training ended before it."""
        if step > self.steps[-1]:
            return None
        return self.values(measure)[np.abs(self.steps - step).argmin()]


def _first(steps: np.ndarray, holds: np.ndarray) -> int | None:
    return int(steps[holds.argmax()]) if holds.any() else None


def trained(scale: str, seeds: Sequence[int], models: Sequence[str] = tuple(clusters.MODELS),
            categories: Sequence[int] = (4, 8, 16), **options: Any) -> list[Trained]:
    """A training of each model on each number of categories, from the store or computed now."""
    settings = {**clusters.SCALES[scale], "seeds": list(seeds), **options}
    return [Trained.of(content) for content in clusters.obtain(
        [{"model": model, "categories": k, **settings} for k in categories for model in models])]


def recorded() -> list[Trained]:
    """What is recorded at the paper's learning rate, in the order of categories and models; longest first."""
    order = list(clusters.MODELS)
    found = [Trained.of(content) for content in experiments.recorded(clusters.NAME)
             if content["version"] == clusters.VERSION]
    return sorted(found, key=lambda t: (t.categories, order.index(t.model), t.masked, -t.parameters["steps"]))


def panels(found: Sequence[Trained], measures: Sequence[str], *, logarithmic: bool | str = False) -> list[Panel]:
    """A panel for each number of categories and measure: medians over seeds, in bands from lowest to highest.

    Panels of Rec show what it is when the decoder is told nothing, panels of Rec + KL its floor, the entropy log K.
    """
    out = []
    for k in dict.fromkeys(t.categories for t in found):
        group = [t for t in found if t.categories == k]
        known = {"bce": {"no information": no_information(k)}, "sum": {"log K": math.log(k)}}
        out += [Panel(f"K = {k}", "step", MEASURES[measure], [_line(t, measure) for t in group],
                      known.get(measure, {}), logarithmic, lowest=DIP if measure in ("kl", "sum") else None)
                for measure in measures]
    return out


def no_information(k: int) -> float:
    """The least Rec in nats of a decoder that is told nothing: each of k outputs says 1/k."""
    return math.log(k) - (k - 1) * math.log1p(-1 / k)


def _line(item: Trained, measure: str) -> Line:
    values = item.values(measure)
    kept = np.isfinite(values).any(1)
    values = values[kept]
    style = list(clusters.MODELS).index(item.model) + len(clusters.MODELS) * item.masked
    return Line(item.title, item.steps[kept], np.nanmedian(values, 1), style,
                spread=(np.nanmin(values, 1), np.nanmax(values, 1)))


def scatter_rows(found: Sequence[Trained], steps: Sequence[int] | None = None) -> dict[str, dict[str, Any]]:
    """For `figures.scatter_grid`: model -> step -> codes of the first seed, None at `steps` without any."""
    steps = steps if steps is not None else sorted({step for t in found for step in t.codes})
    return {t.title.replace(", ", ",\n"): {f"step {step:,}": t.codes.get(step) for step in steps} for t in found}


def scatter_data(found: Sequence[Trained], name: str) -> Download:
    """The points of a scatter figure, as a download: a row for each code, two columns for each step."""
    steps = sorted({step for t in found for step in t.codes})
    rows = [{"model": t.title, "K": t.categories, "category": k, "draw": i,
             **{f"step {step}, unit {unit + 1}": float(t.codes[step][k, i, unit]) if step in t.codes else None
                for step in steps for unit in range(clusters.LATENT)}}
            for t in found if t.codes for k in range(t.categories) for i in range(t.codes[min(t.codes)].shape[1])]
    return Download(Table(rows, name, name=name))


def steps_table(found: Sequence[Trained], caption: str, name: str) -> Table:
    """When the categories of each training separated."""
    rows = [{"model": t.title, "K": t.categories,
             f"first step with | accuracy ≥ {NEARLY}": _steps(t.first(NEARLY)),
             f"first step with | accuracy ≥ {SEPARATED}": _steps(t.first(SEPARATED)),
             f"first step with | accuracy ≥ {NEARLY} to the end": _steps(t.lasting(NEARLY)),
             f"first step with | decoded ≥ {SEPARATED}": _steps(t.first(SEPARATED, "decoded")),
             "steps": t.parameters["steps"], "run": Cell(t.id, t.id.rsplit("-", 1)[-1][:8], t.id)} for t in found]
    return Table(rows, caption, [
        "Median over the seeds that got there (lowest–highest; how many did / all seeds). Accuracy: share of held-out "
        "codes nearest to the centroid of their category. Decoded: share whose most probable output is their "
        "category."], name)


def end_table(found: Sequence[Trained], caption: str, name: str) -> Table:
    """What each training ended with."""
    rows = [{"model": t.title, "K": t.categories,
             **{header: _spread(t.values(measure)[-1]) for header, measure in (
                 ("accuracy", "accuracy"), ("decoded", "decoded"), ("inter / intra", "ratio"), ("Rec (nats)", "bce"),
                 ("KL (nats)", "kl"))},
             "Rec + KL − log K": _spread(t.values("sum")[-1] - math.log(t.categories))} for t in found]
    return Table(rows, caption, [
        "Median over seeds (lowest–highest). KL: exact for the VAE, else the critic's dual estimate. Rec + KL − log K "
        "cannot be negative; where it is, the estimate is too low."], name)


def _steps(steps: Sequence[int | None]) -> Cell:
    reached = sorted(step for step in steps if step is not None)
    count = f"{len(reached)}/{len(steps)}"
    if not reached:
        return Cell(None, f"never ({count})")
    middle = float(np.median(reached))
    between = f"{reached[0]:,}–{reached[-1]:,}; " if reached[0] < reached[-1] else ""
    return Cell(middle, f"{middle:,.0f} ({between}{count})")


def _spread(values: np.ndarray) -> Cell:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Cell(None, "overflow")
    middle, low, high = (f"{value:.2f}" for value in (np.median(finite), finite.min(), finite.max()))
    text = middle if low == high else f"{middle} ({low}–{high})"
    return Cell(float(np.median(finite)), text.replace("-", "−"))


def claims_table(long: Sequence[Trained], short: Sequence[Trained]) -> Table:
    """What the paper says of its pictures beside what recorded runs and this build show at that point.

    A point of the recorded runs is a step, one of this build the step at which lr times steps is the same.
    """
    rows = [{"clvm, sec. 4.4": claim.text, "K": claim.categories, "step": claim.step,
             "model": clusters.MODELS[model].title,
             **{f"{header} | {measure}": _shown(found, claim, model, measure)
                for header, found in (("recorded", long), ("this build", short))
                for measure in ("accuracy", "decoded")}} for claim in CLAIMS for model in claim.models]
    return Table(rows, "What the paper reads off its pictures, and what is there", [
        "Median over seeds (lowest–highest) of the nearest-centroid accuracy and of the share that is decoded "
        "correctly. Recorded: at the paper's step, learning rate 1e-5; this build: where learning rate times steps is "
        "the same.", "The paper does not say which of its models it shows."], "cluster-claims")


def _shown(found: Sequence[Trained], claim: Claim, model: str, measure: str) -> Cell:
    values = claimed(found, claim, model, measure)
    return Cell(None, NOT_RECORDED) if values is None else _spread(values)


def claimed(found: Sequence[Trained], claim: Claim, model: str, measure: str = "accuracy") -> np.ndarray | None:
    """The measure (S,) of a model at the point of which a claim speaks, from the training with the most seeds."""
    fits = [t for t in found if (t.model, t.categories, t.masked) == (model, claim.categories, False)]
    values = [t.at(measure, claim.step * clusters.SCALES["paper"]["lr"] / t.parameters["lr"]) for t in fits]
    return max((v for v in values if v is not None), key=len, default=None)


def holds(found: Sequence[Trained], claim: Claim) -> bool | None:
    """Whether the median accuracy at the point of a claim says what it says (see `Claim`); None: not recorded."""
    values = {model: claimed(found, claim, model) for model in claim.models}
    fits = [bool((np.nanmedian(v) >= SEPARATED) == claim.separates) for v in values.values() if v is not None]
    if claim.models == OURS:
        return True if any(fits) else False if len(fits) == len(OURS) else None
    return False if not all(fits) else True if len(fits) == len(claim.models) else None
