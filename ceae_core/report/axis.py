"""One likelihood axis: what each paper's formula says of every family, beside a bound that is valid for all of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ceae_core import zoo
from ceae_core.corpora import oracle
from ceae_core.manifest import COMPLETE
from ceae_core.report import published
from ceae_core.report.compare import DASH_NOTE, SHARES_NOTE, by_name, numbers, run_cell, summary
from ceae_core.report.figures import Line, Panel, Picture, one_axis
from ceae_core.report.results import Result, largest, matching, row_specs, trained
from ceae_core.report.table1 import rank_agreement
from ceae_core.report.tables import Cell, Table
from ceae_core.report.truth import Floor
from ceae_core.spec import RunSpec, resolve

BOUND, BOUND_PPL, REC = "nll_iw_nats", "ppl_iw_word", "rec_nats_per_sentence"
FORMULA_NOTE = ("By the formula: the perplexity that the papers' formula gives, on the whole test split. Its KL is in "
                "closed form for Gaussian and spherical posteriors, which makes the number a bound; estimated by "
                "critics for implicit posteriors, and left out for deterministic codes, where it is Rec alone.")
BOUND_NOTE = ("Valid bound: importance-weighted, on the first sentences of the test split, with the proposal that the "
              "validation split chose (tooltip: its numbers). Standard error: over sentences; they are the same for "
              "all rows, so differences between rows are surer than that. Effective codes: (Σw)²/Σw² of the S codes "
              "of a sentence; 1 means that one code carries the sum.")
PRINTED = {"ceae": (("Yahoo", "Rec"), ("Yelp", "Rec")), "clvm": (("PTB", "PPL"),)}     # of each paper's main table
AUTHORS = {"ceae": "CEAE paper", "clvm": "CLVM paper"}
PROPOSALS = {"own": "own posterior", "prior": "prior", "isotropic": "isotropic, grid", "affine": "affine, fitted",
             "linear": "linear, fitted", "refined": "refined by sentence"}


class Formula(NamedTuple):
    """How a paper comes by the number that it reports for a kind of family."""

    kl: str                 # where its KL comes from
    is_bound: bool
    nats: str               # metric, per sentence
    ppl: str | None         # metric; None: exp of `nats` per token


EXACT = Formula("exact, no code", True, "nelbo_nats_per_sentence", "ppl_word")
CLOSED = Formula("closed form", True, "nelbo_nats_per_sentence", "ppl_word")
CRITICS = Formula("critics", False, "nelbo_dual_nats_per_sentence", "ppl_dual_word")
NOTHING = Formula("none: Rec alone", False, REC, None)


def formula(family: str) -> Formula:
    """What the papers' formula is for a family of the zoo."""
    row = zoo.family(family)
    if row.posterior is None:
        return EXACT
    if row.critics:
        return CRITICS
    return CLOSED if row.is_bounded else NOTHING


def specs(corpus: str, scale: str, seeds: Sequence[int]) -> list[RunSpec]:
    """Every row of both papers' main tables, and every other family of the zoo as its row says, each once."""
    found = [*row_specs("ceae", 1, corpus, scale, seeds), *row_specs("clvm", 1, corpus, scale, seeds)]
    found += [resolve(name, corpus=corpus, scale=scale, seed=seed) for name in zoo.FAMILIES for seed in seeds]
    return list({spec.id: spec for spec in found}.values())


def of_rows(results: Sequence[Result]) -> list[Result]:
    """Those among `results` that `specs` would ask for, whatever their seed; of one name those at the largest scale."""
    keys = [row for paper in PRINTED for row in published.rows(paper, 1)]
    wanted = {r.id for key in keys for r in matching(key, results)} | {r.id for r in results if r.is_row(r.family, {})}
    groups: dict[str, list[Result]] = {}
    for result in results:
        if result.id in wanted:
            groups.setdefault(result.name, []).append(result)
    return [r for group in groups.values() for r in largest(group)]


def by_formula(result: Result) -> tuple[float, float] | None:
    """Nats per sentence and perplexity as the papers compute them; None for a run that diverged."""
    how = formula(result.family)
    nats = result.metric(how.nats)
    if nats is None:
        return None
    return nats, result.metric(how.ppl) if how.ppl else math.exp(nats / result.metric("tokens_per_sentence"))


def table(results: Sequence[Result], floor: Floor | None, caption: str, name: str) -> Table:
    """All families, the tightest bound first; with a `floor` the distance to it, and the truth itself if it is that."""
    groups = by_name(results)
    order = sorted(groups, key=lambda family: _mean(groups[family], BOUND, math.inf))
    rows = [_row(family, groups[family], floor) for family in order]
    if floor is not None and floor.name == "truth" and rows:
        rows.insert(0, _truth_row(rows[0], results, floor))
    notes = [FORMULA_NOTE, BOUND_NOTE, *([SHARES_NOTE] if any(len(g) > 1 for g in groups.values()) else []), DASH_NOTE]
    return Table(rows, caption, notes, name, digits={"valid bound | effective codes": 1})


def _row(family: str, group: Sequence[Result], floor: Floor | None) -> dict[str, Any]:
    complete = [r for r in group if r.status == COMPLETE]
    how, found = formula(group[0].family), [by_formula(r) for r in complete]
    proposals = list(dict.fromkeys(r.metric("iw_proposal") for r in complete))
    ess = [r.metrics.get("iw_ess") for r in complete]
    row = {"family": family, "by the formula | KL": how.kl, "by the formula | a bound": "yes" if how.is_bound else "no",
           "by the formula | PPL": Cell(float(np.mean([ppl for _, ppl in found])) if found else None,
                                        "" if found else "diverged", "" if how.is_bound else "not a bound"),
           "valid bound | PPL": summary(group, BOUND_PPL), "valid bound | nats": summary(group, BOUND),
           "valid bound | standard error": summary(group, "nll_iw_se")}
    if floor is not None:
        value = _mean(group, BOUND)
        row[_above(floor)] = None if value is None else value - floor.first
    text = ", ".join(dict.fromkeys(map(_short, proposals)))
    return row | {"valid bound | proposal": Cell(text or None, title="; ".join(proposals)),
                  "valid bound | effective codes": None if not ess or None in ess else float(np.mean(ess)),
                  "run": run_cell(group)}


def _above(floor: Floor) -> str:
    return f"valid bound | above the {floor.name} (nats)"


def _short(proposal: str) -> str:
    """The formula without the fitted numbers, which follow it."""
    name, _, numbers = proposal.partition("), ")
    refined = ", refined" if "per sentence" in proposal else ""
    return name + (")" if numbers else "") + refined


def _truth_row(like: Mapping[str, Any], results: Sequence[Result], floor: Floor) -> dict[str, Any]:
    """The grammar itself as a row, with the keys of another."""
    known = next(r for r in results if r.status == COMPLETE)
    first_tokens = known.metric(BOUND) / math.log(known.metric(BOUND_PPL))         # per sentence of the bound
    truth = {"family": Cell("truth", strong=True), "by the formula | KL": "exact, no code",
             "by the formula | a bound": "yes",
             "by the formula | PPL": math.exp(floor.test / known.metric("tokens_per_sentence")),
             "valid bound | PPL": math.exp(floor.first / first_tokens), "valid bound | nats": floor.first,
             _above(floor): 0.0}
    return {column: truth.get(column) for column in like}


def _mean(group: Sequence[Result], metric: str, missing: float | None = None) -> float | None:
    found = numbers(group, metric)
    return float(np.mean(found)) if found else missing


def dots(results: Sequence[Result], floor: Floor | None) -> dict[str, dict[str, list[float]]]:
    """Measure -> family -> nats per sentence over seeds, with a `floor` minus its -log p of the same sentences; the
    tightest bound first."""
    test, first = (floor.test, floor.first) if floor else (0.0, 0.0)
    groups = by_name(results)
    order = sorted(groups, key=lambda family: _mean(groups[family], BOUND, math.inf))
    complete = {family: [r for r in groups[family] if r.status == COMPLETE] for family in order}
    labels = {True: "by the formula, a bound", False: "by the formula, no bound"}
    out: dict[str, dict[str, list[float]]] = {label: {family: [] for family in order} for label in labels.values()}
    for family, group in complete.items():
        out[labels[formula(groups[family][0].family).is_bound]][family] = [by_formula(r)[0] - test for r in group]
    return out | {"valid bound": {family: [r.metric(BOUND) - first for r in group]
                                  for family, group in complete.items()}}


def picture(results: Sequence[Result], floor: Floor | None) -> Picture:
    """`dots` on one axis."""
    unit = "nats per sentence" + ("" if floor is None else f" above the {floor.name}'s −log p of the same sentences")
    found = dots(results, floor)
    return one_axis(found, unit, floor and floor.name, height=1.3 + 0.27 * len(found["valid bound"]))


# what survives of the papers' rankings -------------------------------------------------------------------------------


def _by_paper(paper: str, result: Result) -> float | None:
    """What the paper's main table reports of a model, in nats per sentence."""
    if paper == "ceae":
        return result.metric(REC)
    found = by_formula(result)
    return found and found[0]


def columns(paper: str, results: Sequence[Result]) -> tuple[dict[str, float], dict[str, float]]:
    """Published row -> what the paper reports, and the valid bound; means over complete seeds at the largest scale."""
    reported, valid = {}, {}
    for row in published.rows(paper, 1):
        group = trained(row, results)
        if group:
            reported[row] = float(np.mean([_by_paper(paper, r) for r in group]))
            valid[row] = float(np.mean([r.metric(BOUND) for r in group]))
    return reported, valid


def survival(sources: Mapping[str, Sequence[Result]]) -> Table:
    """For each paper and each of `sources` (label -> results): do the printed order, the order by the paper's own
    measure and the order by the valid bound agree?  Sources with fewer than three rows are left out."""
    rows = []
    for paper, (label, results) in product(PRINTED, sources.items()):
        reported, valid = columns(paper, results)
        if len(valid) < 3:
            continue
        for dataset, metric in PRINTED[paper]:
            printed = {row: published.cell(row, dataset, metric).value for row in valid}
            rows.append(_compared(paper, label, f"printed {metric}, {dataset}", "paper's measure", printed, reported))
            rows.append(_compared(paper, label, f"printed {metric}, {dataset}", "valid bound", printed, valid))
        rows.append(_compared(paper, label, "paper's measure", "valid bound", reported, valid))
    notes = ["Paper's measure: Rec for the CEAE paper; for the CLVM paper Rec plus the KL in closed form or by "
             "critics. Kendall's τ is 1 for the same order, −1 for the reverse. Places count from the smallest number."]
    return Table(rows, "What survives of the order in the papers' main tables", notes, "axis-survival")


def _compared(paper: str, label: str, first: str, second: str, one: Mapping[str, float], other: Mapping[str, float],
              ) -> dict[str, Any]:
    tau, flipped, pairs = rank_agreement(one, other)
    best = min(one, key=one.get)
    place = 1 + sum(value < other[best] for value in other.values())
    return {"paper": AUTHORS[paper], "our runs": label, "order": first, "against": second, "Kendall's tau": tau,
            "pairs the other way": Cell(len(flipped), f"{len(flipped)} of {pairs}"),
            "the first of the one": published.title(best),
            "its place in the other": Cell(place, f"{place} of {len(other)}")}


# how a bound tightens ------------------------------------------------------------------------------------------------

def truth_of(spec: RunSpec, sentences: int) -> float | None:
    """Mean true -log p of the first test sentences of a run's corpus, nats; None where nobody knows probabilities."""
    if spec.corpus != "oracle":
        return None
    first = spec.load_corpus().splits["test"].sentences[:sentences]
    return float(np.mean([-oracle.default().log_prob(sentence) for sentence in first]))


def tightening(found: Mapping[str, Mapping[str, Any]], truth: float | None) -> list[Panel]:
    """Label -> experiment of `tightening.obtain` as one panel: the bound, or its distance to the truth, against the
    number of codes, a curve for each proposal."""
    axis, panels = "nats above the truth" if truth is not None else "bound (nats per sentence)", []
    for label, experiment in found.items():
        counts = experiment["parameters"]["samples"]
        lines = [Line(PROPOSALS[name], counts, [value - (truth or 0.0) for value in each["nats"]],
                      list(PROPOSALS).index(name)) for name, each in _in_order(experiment)]
        panels.append(Panel(label, "codes S", axis, lines, logarithmic="both"))
    return panels


def tightening_table(found: Mapping[str, Mapping[str, Any]], truth: float | None, name: str) -> Table:
    """The numbers behind `tightening`; the proposal that the validation split chose is bold."""
    rows = []
    for label, experiment in found.items():
        counts, best = experiment["parameters"]["samples"], experiment["result"]["best"]
        for key, each in _in_order(experiment):
            rows.append({"run": Cell(experiment["parameters"]["run_id"], label, experiment["parameters"]["run_id"]),
                         "proposal": Cell(PROPOSALS[key], title=each["describe"], strong=key == best),
                         **{f"bound (nats) | S = {count}": nats
                            for count, nats in zip(counts, each["nats"], strict=True)},
                         f"bound (nats) | standard error, S = {counts[-1]}": each["se"][-1],
                         f"effective codes of {counts[-1]}": each["ess"]})
    sentences = {experiment["parameters"]["sentences"] for experiment in found.values()}
    caption = f"The bound on the first {'/'.join(map(str, sentences))} test sentences"
    caption += "" if truth is None else f", whose true −log p is {truth:.2f} nats on average"
    return Table(rows, caption, ["Bold: what the validation split chose. All columns of a row use the same codes, in "
                                 "groups of S."], name)


def _in_order(experiment: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    proposals = experiment["result"]["proposals"]
    return ((name, proposals[name]) for name in PROPOSALS if name in proposals)
