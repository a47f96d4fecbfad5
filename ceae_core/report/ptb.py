"""The second paper's Table 1: what it says, by the paper's own measures and by measures that bound -log p(x)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ceae_core.report import published
from ceae_core.report.compare import DASH_NOTE
from ceae_core.report.figures import Picture, one_axis
from ceae_core.report.published import model_and_variant
from ceae_core.report.results import Result, trained, zoo_row
from ceae_core.report.tables import Cell, Table
from ceae_core.report.truth import Floor
from ceae_core.zoo import family

LIKELIHOOD = ("nelbo_dual_nats_per_sentence", "ppl_dual_word", "nelbo_exact_nats_per_sentence", "ppl_exact_word",
              "nll_iw_nats", "ppl_iw_word")
CODE = ("kl_dual_nats", "kl_exact_nats", "mi_dual_nats", "mi_exact_nats", "mi_minibatch_nats", "active_units")
NOTES = (
    "KL from: how the paper comes by the KL in its number. Dual: estimates by critics, with the + 1 of the dual form; "
    "Gaussian posteriors have none. Exact: the KL in closed form, and what follows from it.",
    "IW bound: importance-weighted, valid for every row; taken on the first test sentences only.")
SAME = 0.01                 # nats, or PPL: a difference that no table shows
PAPERS, VALID = "as the paper measures", "by valid measures"


@dataclass(frozen=True)
class Claim:
    """In each pair the first model has the lower PPL, or the higher KL or MI."""

    text: str
    metric: str                                     # as the paper calls it: PPL, KL or MI
    pairs: Sequence[tuple[str, str]]


GAUSSIAN = ("VAE:", "betaVAE:beta=0.5", "SaVAE:", "CycVAE:")
IMPLICIT = ("iVAE:", "iVAE_MI:", "cVAE:", "cVAE_MI:", "cVAE+:", "cVAE+_MI:")
BEST = "cVAE+_MI:"
CLAIMS = (
    Claim("every implicit model has a lower PPL than every Gaussian one", "PPL",
          [(i, g) for i in IMPLICIT for g in GAUSSIAN]),
    Claim("contrast lowers PPL: cVAE below iVAE, cVAE_MI below iVAE_MI", "PPL",
          [("cVAE:", "iVAE:"), ("cVAE_MI:", "iVAE_MI:")]),
    Claim("the circle loss lowers it further: cVAE+ below cVAE, cVAE+_MI below cVAE_MI", "PPL",
          [("cVAE+:", "cVAE:"), ("cVAE+_MI:", "cVAE_MI:")]),
    Claim("cVAE+_MI has the lowest PPL of all", "PPL",
          [(BEST, other) for other in (*GAUSSIAN, *IMPLICIT) if other != BEST]),
    Claim("contrast raises the KL: cVAE above iVAE, cVAE_MI above iVAE_MI", "KL",
          [("cVAE:", "iVAE:"), ("cVAE_MI:", "iVAE_MI:")]),
    Claim("contrast raises MI: cVAE above iVAE, cVAE_MI above iVAE_MI", "MI",
          [("cVAE:", "iVAE:"), ("cVAE_MI:", "iVAE_MI:")]),
)
# metric -> (key for implicit posteriors, key for Gaussian ones) as the paper measures, key of the valid measure
KEYS = {"PPL": (("nelbo_dual_nats_per_sentence", "nelbo_nats_per_sentence"), "nll_iw_nats"),
        "KL": (("kl_dual_nats", "kl_nats"), "kl_exact_nats"),
        "MI": (("mi_dual_nats", "mi_minibatch_nats"), "mi_exact_nats")}


def kinds() -> dict[str, str]:
    """Published row -> how the paper comes by its KL."""
    return {row: "critics" if family(zoo_row(row)[0]).critics else "closed form"
            for row in published.rows("clvm", 1) if zoo_row(row)}


def key_of(row: str, metric: str, measured: str) -> str:
    """Which measure of our runs stands for `metric` (PPL, KL or MI) of a published row of the zoo; for PPL it is in
    nats per sentence, which gives the same order."""
    (dual, closed), valid = KEYS[metric]
    return valid if measured == VALID else dual if family(zoo_row(row)[0]).critics else closed


def values(results: Sequence[Result], metric: str, measured: str) -> dict[str, float]:
    """Model of Table 1 -> mean over complete seeds of `metric`, as the paper measures or by a valid measure (see
    `key_of`); models without it are left out."""
    out = {}
    for row in filter(zoo_row, published.rows("clvm", 1)):
        found = trained(row, results)
        numbers = [r.metric(key_of(row, metric, measured)) for r in found]
        if numbers and None not in numbers:
            out[model_and_variant(row)] = sum(numbers) / len(numbers)
    return out


def title(model: str) -> str:
    """How a page calls a model of the second paper."""
    return published.title(f"clvm:1:{model}")


def verdict(claim: Claim, numbers: Mapping[str, float], same: float = SAME) -> Cell:
    """Yes, or no with the number of pairs that contradict (which: tooltip); a dash when a number is missing.

    Numbers closer than `same` contradict nothing and support nothing.
    """
    if any(name not in numbers for pair in claim.pairs for name in pair):
        return Cell(None, title="not all runs are there")
    sign, count = 1 if claim.metric == "PPL" else -1, len(claim.pairs)
    excess = {(a, b): sign * (numbers[a] - numbers[b]) for a, b in claim.pairs}
    against, equal = ([pair for pair, e in excess.items() if test(e)]
                      for test in (lambda e: e >= same, lambda e: abs(e) < same))
    which = "; ".join(f"{title(a)} {numbers[a]:.2f}, {title(b)} {numbers[b]:.2f}" for a, b in against or equal)
    if against:
        return Cell("no", f"no: {len(against)} of {count} pairs" if count > 1 else "no", which)
    if equal:
        return Cell("equal" if len(equal) == count else "yes", f"equal: {len(equal)} of {count} pairs", which)
    return Cell("yes")


def claims(recorded: Sequence[Result], built: Sequence[Result]) -> Table:
    """What the paper's text reads from Table 1, and whether it holds: printed, recorded and built, by both measures."""
    rows = []
    for claim in CLAIMS:
        printed = {model_and_variant(row): published.cell(row, "PTB", claim.metric).value
                   for row in published.rows("clvm", 1)}
        row = {"claim": claim.text, "published": verdict(claim, printed)}
        for source, results in (("recorded", recorded), ("this build", built)):
            row |= {f"{source} | {measured}": verdict(claim, values(results, claim.metric, measured))
                    for measured in (PAPERS, VALID)}
        rows.append(row)
    notes = ["As the paper measures: Rec + KL, KL and MI by the critics for implicit models, in closed form for "
             "Gaussian ones. Valid: the importance-weighted bound, the exact KL, MI by the mixture of posteriors. "
             "A dash: not all runs are there."]
    return Table(rows, "Claims about Table 1", notes, "clvm-table1-claims")


DOTS = {"−ELBO, dual": "nelbo_dual_nats_per_sentence", "−ELBO, exact": "nelbo_exact_nats_per_sentence",
        "IW bound": "nll_iw_nats"}
LINEAR = 4.0                # nats around the truth that the axis shows without compression


def distances(results: Sequence[Result], floor: Floor | None) -> dict[str, dict[str, list[float]]]:
    """Measure -> model -> values over seeds, minus the true -log p of the same sentences where it is known, in nats."""
    out: dict[str, dict[str, list[float]]] = {label: {} for label in DOTS}
    for row in published.rows("clvm", 1):
        for label, key in DOTS.items():
            base = 0.0 if floor is None else floor.first if key == "nll_iw_nats" else floor.test
            found = [r.metric(key) for r in trained(row, results)]
            out[label][published.title(row)] = [value - base for value in found if value is not None]
    return out


def axis(results: Sequence[Result], floor: Floor | None) -> Picture:
    """The three numbers of each row of Table 1 on one axis, logarithmic far from the truth."""
    unit = "nats per sentence" + ("" if floor is None else f" above the {floor.name}'s −log p of the same sentences")
    return one_axis(distances(results, floor), unit, floor and floor.name, linear=None if floor is None else LINEAR)


def axis_table(results: Sequence[Result], floor: Floor | None) -> Table:
    """The numbers behind `axis`, means over complete seeds."""
    unit = "nats" if floor is None else f"nats above the {floor.name}"
    columns = distances(results, floor)
    rows = [{"model": model, **{f"{label} ({unit})": sum(found[model]) / len(found[model]) if found[model] else None
                                for label, found in columns.items()}} for model in columns["IW bound"]]
    return Table(rows, "Distances of the rows of Table 1", [DASH_NOTE], "clvm-table1-axis")
