"""Rules for tables of which nothing is run here, or whose numbers can be tested as printed: what the print says."""

from collections.abc import Mapping

from ceae_core.audit.maths_shares import share_z
from ceae_core.report import checks, intervals, published, seed_runs, seeds
from ceae_core.report.compare import numbers
from ceae_core.report.intervals import Summary
from ceae_core.report.reproduction.outcome import Check, Outcome, Records
from ceae_core.report.results import Result

SIGNIFICANT = 1.96          # |z| of a two-sided test at 5 %, the usual level for a share of choices
MANY_SEEDS = 10             # of each model: what the first paper averages, and asks of a comparison of ours


def values(paper: str, table: int, metric: str | None = None, dataset: str | None = None) -> dict[tuple, float]:
    """(row, dataset, metric) -> printed number of a table, of one metric or corpus where asked."""
    frame = published.load(paper, table)
    return {(r.row, r.dataset, r.metric): r.value for r in frame.itertuples()
            if metric in (None, r.metric) and dataset in (None, r.dataset)}


def wins(table: int, ours: str, other: str) -> tuple[int, int]:
    """Cells of a table of the first paper in which the row `ours` is better than the row `other`, and all cells."""
    frame = published.load("ceae", table).set_index(["row", "dataset", "metric"])
    pairs = [(cell, frame.loc[(other, *key[1:])]) for key, cell in frame.iterrows() if key[0] == ours]
    better = [a.value < b.value if a.direction == "min" else a.value > b.value for a, b in pairs]
    return sum(better), len(better)


def labels(records: Records) -> Outcome:
    """First paper, Table 3: CEAE's margin over the best other row, by number of labels."""
    margins = {}
    for metric in dict.fromkeys(published.load("ceae", 3)["metric"]):
        found = {row: value for (row, _, _), value in values("ceae", 3, metric).items()}
        margins[metric] = found.pop("ceae:3:CEAE:") - max(found.values())
    text = ", ".join(f"{margin:.1f}" for margin in margins.values())
    grows = list(margins.values()) == sorted(margins.values())
    return Outcome(f"margin over the best other row: {text} points of accuracy, fewest labels first",
                   lesson="As printed the margin " + ("grows" if grows else "does not grow") + " with the number of "
                          "labels, and no spread says whether it is more than chance.")


def choices(table: int, n: int | None):
    """Rule for Tables 4, 5, 7 and 8 of the first paper: shares of choices; `n` questions where the paper says so."""
    def rule(records: Records) -> Outcome:
        shares = {dataset: {published.model_of(row): value for (row, d, _), value in values("ceae", table).items()
                            if d == dataset} for dataset in dict.fromkeys(published.load("ceae", table)["dataset"])}
        theirs = "; ".join(f"{dataset}: CEAE {each['CEAE']:.1f} %, BN-VAE {each['BN-VAE']:.1f} %"
                           for dataset, each in shares.items())
        if n is None:
            return Outcome(theirs, lesson="Neither the number of questions nor the version of the model is printed, so "
                                          "the shares have no error.")
        z = {dataset: share_z(each["CEAE"], each["BN-VAE"], n) for dataset, each in shares.items()}
        weak = [dataset for dataset, value in z.items() if value < SIGNIFICANT]
        text = ", ".join(f"{dataset} z = {value:.1f}" for dataset, value in z.items())
        return Outcome(theirs, lesson=f"If only the {n} questions are independent, {text}: "
                                      + (f"no significant lead on {' and '.join(weak)}." if weak else
                                         "the lead is significant."))
    return rule


def human(table: int):
    """`choices` with the number of questions of the human study."""
    return lambda records: choices(table, int(published.setting("ceae", "human study", "questions").value))(records)


def other_corpora(records: Records) -> Outcome:
    """Second paper, Table 2: its arithmetic, which needs no model."""
    rows = checks.arithmetic(2, checks.counted_tokens(records.every), "").rows
    fits = sum(row["PPL fits"] == "yes" for row in rows)
    high = sum(row["MI at most log N"].value == "no" for row in rows)
    difference = {(d.dataset, d.metric): d.claimed_difference for d in published.differences("clvm").itertuples()}
    theirs = ", ".join(f"{d} −{difference[d, '-ELBO']:g} nats" for d in ("Yahoo", "Yelp"))
    return Outcome(f"cVAE+_MI against iVAE_MI: {theirs}",
                   lesson=f"PPL follows from −ELBO in {fits} of {len(rows)} rows; the MI of {high} is above log N of "
                          "the test split.")


def perplexities(records: Records) -> Outcome:
    """Second paper, Table 4: forward and reverse perplexity."""
    found = {metric: {row: value for (row, _, _), value in values("clvm", 4, metric).items()}
             for metric in ("forward_PPL", "reverse_PPL")}
    contrastive = [row for row in found["reverse_PPL"] if published.model_of(row).startswith("cVAE")]
    best = {metric: min(column, key=column.get) for metric, column in found.items()}
    text = ", ".join(f"{metric.split('_')[0]} {published.title(row)} {found[metric][row]:,.0f}"
                     for metric, row in best.items())
    return Outcome(f"lowest: {text}", lesson="The text speaks of two contrastive models; the table has "
                                             f"{len(contrastive)}, so that part of the claim cannot be checked.")


# Tables 12 and 13 ----------------------------------------------------------------------------------------------------

def spreads(dataset: str):
    """Rule for Tables 12 (Yahoo) and 13 (Yelp) of the first paper: its tests recomputed, and one with our seeds."""
    def rule(records: Records) -> Outcome:
        tests = [c for c in seeds.comparisons() if c.best.dataset == dataset]
        passed = [c for c in tests if c.holds]
        cells = [e for e in seeds.entries() if e.dataset == dataset and e.is_possible is not None]
        wrong = [e for e in cells if not e.is_possible]
        odd = ", ".join(f"{e.model} {e.metric}" for e in wrong)
        ours, other = next(pair for pair in seeds.rivals() if (pair[0].dataset, pair[0].metric) == (dataset, "Rec"))
        pair = (Summary(e.mean, e.spread.std, seeds.runs()) for e in (ours, other))
        used = _seeds(records)
        measured, text = _measured(used)
        untested = sum(c.holds is None for c in tests)
        lesson = (f"{len(passed)} of {len(tests) - untested} tests behind bold print hold when recomputed; "
                  + (f"the sd of {odd} is impossible." if wrong else "no printed sd is impossible."))
        return Outcome(f"CEAE − BN-VAE, Rec: {_gap(*pair)}", text and f"CEAE − BN-VAE, Rec: {text}", lesson,
                       [Check(f"bold cells are significant at {seeds.alpha():g} (Welch)",
                              None if untested == len(tests) else len(passed) == len(tests) - untested,
                              f"{len(passed)} of {len(tests) - untested}, {untested} without an sd"),
                        Check("every interval is possible with its sd", not wrong,
                              f"{len(cells) - len(wrong)} of {len(cells)}"), measured],
                       [r for group in used.values() for r in group])
    return rule


def _gap(first: Summary, second: Summary) -> str:
    text = f"{first.mean - second.mean:+.2f} nats (sd {first.sd:.2f}, {second.sd:.2f}; n = {first.n}, {second.n})"
    return text.replace("-", "−")


def _seeds(records: Records) -> Mapping[str, list[Result]]:
    """CEAE and BN-VAE with the most seeds that are recorded at one place."""
    found = [{family: seed_runs.of_seeds(results, [family]) for family in ("ceae", "bn-vae")}
             for results in records.runs.values()]
    return max(found, key=lambda groups: min(map(len, groups.values())), default={"ceae": [], "bn-vae": []})


def _measured(groups: Mapping[str, list[Result]]) -> tuple[Check, str]:
    """Whether our own seeds separate the two models in Rec, at the paper's level."""
    says = f"CEAE has a lower Rec than BN-VAE over {MANY_SEEDS} seeds of our own, p < {seeds.alpha():g}"
    found = {family: numbers(group, seed_runs.REC) for family, group in groups.items()}
    if min(map(len, found.values())) < 2:
        return Check(says, None, "too few seeds are recorded"), ""
    pair = Summary.of(found["ceae"]), Summary.of(found["bn-vae"])
    test = intervals.welch(*pair)
    text = f"{groups['ceae'][0].corpus} at {groups['ceae'][0].scale}: {_gap(*pair)}"
    enough = min(map(len, found.values())) >= MANY_SEEDS
    return Check(says, test.difference < 0 and test.p < seeds.alpha() if enough else None, text), text
