"""Rules for the tables of language models: do the orders that a table is read to show come out of our runs?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ceae_core.report import axis, checks, ptb, published
from ceae_core.report.ptb import PAPERS, VALID, Claim
from ceae_core.report.published import model_and_variant
from ceae_core.report.reproduction import generated
from ceae_core.report.reproduction.outcome import Check, Noise, Outcome, Records, joined, tell
from ceae_core.report.results import Result, trained
from ceae_core.report.table1 import MOST_PAIRS, rank_agreement

ORDERED = 0.05              # largest p of Kendall's τ, one-sided, for two orders to count as the same: the usual level
FEWEST_ROWS = 5             # for an order: with four rows τ = 1 has p = 0.04, and nothing below 1 is under ORDERED
NOT_PRINTED = "not even as printed"
Numbers = Mapping[str, float]           # model, as in a row's key behind paper and table -> number


@dataclass(frozen=True)
class Source:
    """The runs of a table's rows at one place, read by one measure."""

    runs: Mapping[str, Sequence[Result]]        # model -> its complete runs
    numbers: Numbers                            # model -> mean over them, where there is such a measure
    noise: Noise

    @classmethod
    def of(cls, paper: str, table: int, results: Sequence[Result], key: Callable[[str], str]) -> "Source":
        """`key` tells which measure of our runs is meant for a published row."""
        runs = {row: trained(row, results) for row in published.rows(paper, table)}
        runs = {row: group for row, group in runs.items() if group}
        found = {row: [r.metric(key(row)) for r in group] for row, group in runs.items()}
        numbers = {model_and_variant(row): sum(values) / len(values)
                   for row, values in found.items() if None not in values}
        return cls({model_and_variant(row): group for row, group in runs.items()}, numbers,
                   Noise(results, *sorted({key(row) for row in runs})))

    def judge(self, claim: Claim) -> tuple[bool | None, str] | None:
        """Whether a claim holds here, with the pairs that contradict it or are too close; None without any pair.

        Some of the pairs can refute a claim; only all of them can support it.
        """
        there = [pair for pair in claim.pairs if all(model in self.numbers for model in pair)]
        if not there:
            return None
        found = {pair: ptb.verdict(replace(claim, pairs=[pair]), self.numbers,
                                   self.noise.margin(*(self.runs[model] for model in pair))) for pair in there}
        against = [cell.title for cell in found.values() if cell.value == "no"]
        close = [cell.title for cell in found.values() if cell.value == "equal"]
        is_whole = len(there) == len(claim.pairs)
        said = [*([] if is_whole else [f"{len(there)} of {len(claim.pairs)} pairs are recorded"]),
                *([f"{len(against)} against"] if against else []), *([f"{len(close)} too close"] if close else []),
                *(against or close)[:MOST_PAIRS]]
        return False if against else None if close or not is_whole else True, "; ".join(said)


def claim_check(claim: Claim, printed: Sequence[Numbers], sources: Mapping[str, Source], how: str = "") -> Check:
    """Whether a claim about pairs of models is in every column of the print, and comes out of our runs."""
    says = claim.text + (f", {how}" if how else "")
    for column in printed:
        if (said := ptb.verdict(claim, column)).value != "yes":
            return Check(says, False, f"{NOT_PRINTED}: {said.text or 'rows are missing'}")
    found = {label: source.judge(claim) for label, source in sources.items()}
    return joined(says, {label: judged for label, judged in found.items() if judged is not None})


def column(paper: str, table: int, dataset: str, metric: str) -> dict[str, float]:
    """A printed column: model -> number."""
    return {model_and_variant(row): published.cell(row, dataset, metric).value for row in published.rows(paper, table)}


# first paper, Table 1 ------------------------------------------------------------------------------------------------

CEAE, BN = "CEAE:", "BN-VAE:gamma=0.7"
DATASETS = ("Yahoo", "Yelp")


def ceae_table1(records: Records) -> Outcome:
    """First paper, Table 1: who has the lowest Rec, in which order, and the perplexities of samples."""
    printed = {d: column("ceae", 1, d, "Rec") for d in DATASETS}
    rec, bound = ({label: source for label, results in records.runs.items()
                   if CEAE in (source := Source.of("ceae", 1, results, lambda row, key=key: key)).numbers
                   and len(source.numbers) > 1} for key in (axis.REC, axis.BOUND))
    others = [model for model in printed["Yahoo"] if model != CEAE]
    second = Claim("BN-VAE (0.7) has the lowest Rec of the others", "PPL", [(BN, m) for m in others if m != BN])
    found = [lowest_rec(1, CEAE, "all rows", published.rows("ceae", 1), DATASETS, rec),
             claim_check(second, list(printed.values()), rec)]
    found += [order(d, printed[d], {label: source.numbers for label, source in rec.items()}) for d in DATASETS]
    found += generated.ceae_perplexities(published.rows("ceae", 1), records.perplexities)
    theirs = ", ".join(f"{d} {column[CEAE] - column[BN]:+.1f}" for d, column in printed.items())
    ours = ", ".join(f"{label} {source.numbers[CEAE] - source.numbers[BN]:+.1f}" for label, source in rec.items()
                     if BN in source.numbers)
    head = "CEAE − BN-VAE (0.7), Rec in nats: "
    lesson = price(1, {label: (source.numbers, bound[label].numbers) for label, source in rec.items()})
    return Outcome(tell(head + theirs), tell(head + ours) if ours else "", lesson, found, behind(rec))


def lowest_rec(table: int, best: str, what: str, keys: Sequence[str], datasets: Sequence[str],
                 sources: Mapping[str, Source]) -> Check:
    """Whether the model `best` has the lowest Rec of the rows `keys`, in print and in our runs."""
    others = [model for model in map(model_and_variant, keys) if model != best]
    claim = Claim(f"CEAE has the lowest Rec of {what}", "PPL", [(best, model) for model in others])
    return claim_check(claim, [column("ceae", table, dataset, "Rec") for dataset in datasets], sources)


def behind(sources: Mapping[str, Source]) -> list[Result]:
    """The runs of all sources, each once."""
    return list({r.id: r for source in sources.values() for group in source.runs.values() for r in group}.values())


def order(dataset: str, printed: Numbers, columns: Mapping[str, Numbers]) -> Check:
    """Whether our order by Rec is that of a printed column, by Kendall's tau."""
    from scipy.stats import kendalltau
    sources = {}
    for label, column in columns.items():
        shared = [model for model in printed if model in column]
        if len(shared) >= FEWEST_ROWS:
            tau, _, _ = rank_agreement({model: printed[model] for model in shared}, column)
            p = kendalltau(*([numbers[model] for model in shared] for numbers in (printed, column)),
                           alternative="greater").pvalue
            # a positive tau that chance could give decides nothing: there are too few rows
            holds = True if p < ORDERED else None if tau > 0 else False
            sources[label] = holds, tell(f"τ = {tau:.2f}, p = {p:.1g}".replace("= -", "= −"))
    return joined(f"the order of the rows by Rec is the one printed for {dataset}", sources)


def price(table: int, columns: Mapping[str, tuple[Numbers, Numbers]]) -> str:
    """Where the row of a table with the lowest Rec stands by the valid bound: label -> Rec and bound by model."""
    said = []
    for label, (rec, valid) in columns.items():
        best = min(rec, key=rec.get)
        place = 1 + sum(value < valid[best] for value in valid.values())
        said.append(f"{published.title(f'ceae:{table}:{best}')} is number {place} of {len(valid)} ({label})")
    return "Rec rewards a code and does not charge for it: of the row with the lowest Rec a valid bound on −log p(x) " \
        f"says that {', '.join(said)}." if said else ""


# second paper: claims about pairs of rows ----------------------------------------------------------------------------

def pairs(table: int, claims: Sequence[Claim], first: str, second: str, records: Records) -> Outcome:
    """A table of the second paper: every claim by the paper's measures and by valid ones.

    The headline is the −ELBO of the model `first` less that of `second`, in nats per sentence.
    """
    def read(metric: str, how: str) -> dict[str, Source]:
        return {label: Source.of("clvm", table, results, lambda row: ptb.key_of(row, metric, how))
                for label, results in records.runs.items()}

    found = [claim_check(claim, [column("clvm", table, "PTB", claim.metric)], read(claim.metric, how), how)
             for claim in claims for how in (PAPERS, VALID)]
    printed = column("clvm", table, "PTB", "-ELBO")
    theirs = printed[first] - printed[second]
    theirs_like, valid = read("PPL", PAPERS), read("PPL", VALID)
    gaps = {label: (theirs_like[label].numbers[first] - theirs_like[label].numbers[second],
                    source.numbers[first] - source.numbers[second])
            for label, source in valid.items() if first in source.numbers and second in source.numbers}
    head = f"{ptb.title(first)} − {ptb.title(second)}, nats: "
    ours = "; ".join(f"{label} {gap:+.1f} as the paper measures, {bound:+.1f} by the bound"
                     for label, (gap, bound) in gaps.items())
    clear = {label: abs(gap) >= valid[label].noise.margin(valid[label].runs[first], valid[label].runs[second])
             for label, (_, gap) in gaps.items()}
    return Outcome(tell(f"{head}{theirs:+.1f}"), tell(head + ours) if ours else "",
                   _sign(theirs, {label: gap for label, (_, gap) in gaps.items()}, clear), found,
                   behind(valid))


def _sign(theirs: float, ours: Mapping[str, float], clear: Mapping[str, bool]) -> str:
    """What a valid bound makes of the headline; `clear`: where it is more than what seeds do."""
    if not ours:
        return ""
    turned = [ours[label] * theirs < 0 for label, is_clear in clear.items() if is_clear]
    text = ", ".join(f"{gap:+.1f} ({label})" for label, gap in ours.items())
    said = "no more than what seeds do" if not turned else "its sign turns round" if all(turned) else \
        "its sign depends on the corpus" if any(turned) else "it keeps its sign"
    return tell(f"Measured by a bound that is valid for both rows, the difference is {text} nats: {said}.")


def clvm_table1(records: Records) -> Outcome:
    """Second paper, Table 1: its arithmetic, and each claim of its section 4.2."""
    found = pairs(1, ptb.CLAIMS, ptb.BEST, "VAE:", records)
    rows = checks.arithmetic(1, checks.counted_tokens(records.every), "").rows
    fits = sum(row["PPL fits"] == "yes" for row in rows)
    possible = sum(row["MI at most log N"].value == "yes" for row in rows)
    return replace(found, checks=[
        Check("PPL follows from −ELBO in every row", fits == len(rows), f"{fits} of {len(rows)}"),
        Check("the MI of every row is possible, at most log N", possible == len(rows), f"{possible} of {len(rows)}"),
        *found.checks])


Z_BEFORE_H = [(f"{model}:contrast_on=z", f"{model}:contrast_on=h") for model in ("cVAE", "cVAE_MI")]
CLAIMS_3 = (Claim("contrast on z gives a lower PPL than on h", "PPL", Z_BEFORE_H),
            Claim("contrast on z gives a higher KL than on h", "KL", Z_BEFORE_H))
SWAP = ("cVAE+_MI:augmentation=dropout", "cVAE+_MI:augmentation=swap")
CLAIMS_7 = (Claim("dropout gives a lower PPL than swapped words", "PPL", [SWAP]),
            Claim("dropout gives a higher KL than swapped words", "KL", [SWAP]),
            Claim("dropout gives a higher MI than swapped words", "MI", [SWAP]))
clvm_table3 = partial(pairs, 3, CLAIMS_3, *Z_BEFORE_H[1])
clvm_table7 = partial(pairs, 7, CLAIMS_7, *SWAP)
