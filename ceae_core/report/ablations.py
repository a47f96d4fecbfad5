"""Variants of the contrastive families: which runs they ask for, and what those say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ceae_core.errors import CeaeError
from ceae_core.manifest import COMPLETE
from ceae_core.report.compare import DASH_NOTE, by_name, run_cell, summary
from ceae_core.report.figures import Line, Panel
from ceae_core.report.results import LABELS, Result, largest
from ceae_core.report.tables import BLANK, Cell, Table
from ceae_core.spec import RunSpec, resolve

METRICS = ("nelbo_dual_nats_per_sentence", "kl_dual_nats", "mi_dual_nats", "kl_exact_nats", "mi_exact_nats",
           "nll_iw_nats")
DROPOUT_METRICS = ("nelbo_dual_nats_per_sentence", "nll_iw_nats")


@dataclass(frozen=True)
class Variant:
    """One way to read a choice that the paper leaves open: the family, and what `--set` changes."""

    choice: str
    value: str
    family: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    def find(self, results: Sequence[Result]) -> list[Result]:
        """Those of `results` that are runs of this variant, at their largest scale."""
        return largest([r for r in results if r.is_row(self.family, self.changes)])


# The first of each choice is the default.
CHOICES: dict[str, tuple[Variant, ...]] = {
    "encoder_sign": (
        Variant("sign of the encoder's circle term", "as printed", "cvae+"),
        Variant("sign of the encoder's circle term", "adversarial", "cvae+", {"encoder_sign": "adversarial"})),
    "rec_views": (
        Variant("views that are reconstructed", "both", "cvae"),
        Variant("views that are reconstructed", "the first", "cvae", {"rec_views": 1})),
    "contrast_temperature": (
        Variant("temperature of the contrast", "0.05", "cvae"),
        Variant("temperature of the contrast", "0.5", "cvae", {"contrast_temperature": 0.5})),
    "posterior": (
        Variant("posterior", "implicit", "cvae"),
        Variant("posterior", "Gaussian", "cvae-gaussian")),
    "noise_head": (
        Variant("head that takes the noise", "linear", "ivae-mi"),
        Variant("head that takes the noise", "MLP", "ivae-mi", {"noise_head": "mlp"})),
}


def specs(names: Sequence[str], **given: Any) -> list[RunSpec]:
    """The specs of all variants of the named choices, each once; `given` goes to `resolve`.

    Raises CeaeError that lists the choices there are.
    """
    for name in names:
        if name not in CHOICES:
            raise CeaeError(f"choices: there is no {name!r}; choose from {', '.join(CHOICES)}")
    found = [resolve(variant.family, set=variant.changes, **given) for name in names for variant in CHOICES[name]]
    return list({spec.id: spec for spec in found}.values())


def are_varied(results: Sequence[Result]) -> bool:
    """Whether `results` has a run of any variant that is not a default."""
    return any(variant.find(results) for variants in CHOICES.values() for variant in variants[1:])


def choices(results: Sequence[Result], missing: str, caption: str, name: str) -> Table:
    """Every variant of every open choice with its measures; `missing` stands where `results` has no run of it."""
    rows = []
    for variant in (variant for variants in CHOICES.values() for variant in variants):
        group = variant.find(results)
        by_name(group)                                  # refuses what must not be averaged
        rows.append({"choice": variant.choice, "value": variant.value, "family": variant.family,
                     **{LABELS[metric]: summary(group, metric) if group else Cell(None, BLANK if i else missing)
                        for i, metric in enumerate(METRICS)},
                     "run": run_cell(group) if group else Cell(None, BLANK)})
    return Table(rows, caption, ["The first value of each choice is the default.", DASH_NOTE], name)


def swept(results: Sequence[Result], family: str) -> list[Result]:
    """Runs of a family that differ from its row in the rate of the encoder's dropout alone, by rate."""
    return sorted((r for r in results if r.is_row(family, {"encoder_dropout": r.settings.get("encoder_dropout", 0.0)})),
                  key=lambda r: r.settings.get("encoder_dropout", 0.0))


def by_dropout(results: Sequence[Result], family: str, metric: str) -> dict[float, float]:
    """Rate of the encoder's dropout -> mean of a measure over complete seeds, at the largest scale of a rate."""
    groups: dict[float, list[Result]] = {}
    for result in swept(results, family):
        if result.status == COMPLETE:
            groups.setdefault(result.settings["encoder_dropout"], []).append(result)
    return {rate: float(np.mean([r.metric(metric) for r in largest(group)])) for rate, group in groups.items()}


def dropout_panels(sources: Mapping[str, Sequence[Result]], family: str) -> list[Panel]:
    """Two measures against the rate of dropout: a panel for each, and for each of `sources` that has any run."""
    return [Panel(f"{LABELS[metric]}, {label}", "rate of the encoder's dropout", "nats per sentence",
                  [Line(family, list(points), list(points.values()))])
            for label, results in sources.items() for metric in DROPOUT_METRICS
            if (points := by_dropout(results, family, metric))]
