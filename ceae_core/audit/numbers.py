"""Findings about printed numbers: what they must satisfy among themselves, and what they can mean."""

import math

from scipy.stats import spearmanr

from ceae_core.audit import price
from ceae_core.audit.finding import Evidence, Finding
from ceae_core.corpora import table as corpora
from ceae_core.report import checks, published, results, table1
from ceae_core.report.published import title
from ceae_core.report.tables import Cell, Table

LENGTHS = (("PTB", (1, 3, 7)), ("Yahoo", (2,)), ("Yelp", (2,)))     # corpus -> tables of the second paper with PPL
MISPRINTED = "clvm:1:VAE:"
CONTRASTIVE = [f"clvm:1:cVAE{more}:" for more in ("", "_MI", "+", "+_MI")]


def value(row: str, dataset: str, metric: str) -> float:
    """A printed number."""
    return published.cell(row, dataset, metric).value


def rows_with(dataset: str) -> list[str]:
    """Rows of the second paper's tables that print −ELBO, PPL, KL, MI and AU on a corpus, each model once."""
    every = [row for table in dict(LENGTHS)[dataset] for row in published.rows("clvm", table)]
    found: dict[tuple[float, float], str] = {}
    for row in every:
        found.setdefault((value(row, dataset, "-ELBO"), value(row, dataset, "KL")), row)
    return list(found.values())


def spans(dataset: str) -> dict[str, checks.Interval]:
    """Row -> predicted tokens per sentence for which its −ELBO and PPL, as rounded, agree."""
    return {row: checks.implied_tokens(value(row, dataset, "-ELBO"), value(row, dataset, "PPL"))
            for row in rows_with(dataset)}


def common_length(found: dict[str, checks.Interval]) -> checks.Interval:
    """The lengths on which as many rows as possible agree."""
    ends = sorted(span.low for span in found.values())
    best = max(ends, key=lambda low: sum(low in span for span in found.values()))
    fitting = [span for span in found.values() if best in span]
    return checks.Interval(max(span.low for span in fitting), min(span.high for span in fitting))


def check_ppl() -> Evidence:
    """PPL = exp(-ELBO / n) on every row: n as the recorded runs counted it, elsewhere one n for all rows."""
    counted = checks.counted_tokens(results.load_recorded("ptb"))
    said, values, misfits = [], {}, []
    for dataset, _ in LENGTHS:
        found = spans(dataset)
        common = common_length(found)
        inside = [row for row, span in found.items() if counted.get(dataset, common.low) in span]
        misfits += [row for row in found if row not in inside]
        values |= {f"{dataset}_low": common.low, f"{dataset}_high": common.high, f"{dataset}_fit": len(inside)}
        length = f"{counted[dataset]:.3f}, counted" if dataset in counted else f"{common.low:.2f} to {common.high:.2f}"
        said.append(f"{dataset} {length}: {len(inside)} of {len(found)} rows")
    return Evidence(misfits == [MISPRINTED], f"Tokens per sentence with which PPL follows from −ELBO: "
                    f"{'; '.join(said)}. The row that misses: {', '.join(map(title, misfits))}.", values)


def check_misprint() -> Evidence:
    """The −ELBO that the printed PPL of one row implies."""
    tokens = common_length(spans("PTB"))
    nelbo, ppl = (value(MISPRINTED, "PTB", metric) for metric in ("-ELBO", "PPL"))
    implied = [length * math.log(ppl) for length in tokens]
    return Evidence(round(implied[0], 1) == round(implied[1], 1) == round(nelbo + 0.1, 1),
                    f"With the tokens per sentence of the other rows PPL {ppl:g} implies −ELBO {implied[0]:.2f} to "
                    f"{implied[1]:.2f}, which rounds to {round(implied[1], 1)}; {nelbo} is printed.",
                    {"low": implied[0], "high": implied[1], "printed": nelbo})


def check_shared_rec() -> Evidence:
    """Rec of the first paper against −ELBO minus KL of the second, for the rows that both print."""
    column = table1.rec_provenance().rows
    differences = [row["CEAE, Table 1 | minus that (nats)"] for row in column]
    return Evidence(not any(differences), f"In all {len(differences)} cells that both papers print the difference is "
                    f"{max(map(abs, differences)):.1f} nats.", {"cells": len(differences), "sum": sum(differences)})


def check_rate() -> Evidence:
    """Spread of Rec and of Rec + KL over the rows that both papers print."""
    said, values, holds = [], {}, True
    for dataset in ("Yahoo", "Yelp"):
        recs = [value(ours, dataset, "Rec") for ours, _ in table1.SHARED]
        bounds = [value(theirs, dataset, "-ELBO") for _, theirs in table1.SHARED]
        rec, bound = max(recs) - min(recs), max(bounds) - min(bounds)
        holds, values = holds and rec > 2 * bound, values | {f"{dataset}_rec": rec, f"{dataset}_bound": bound}
        said.append(f"{dataset}: Rec over {rec:.1f} nats, Rec + KL over {bound:.1f} "
                    f"({min(bounds)} to {max(bounds)})")
    return Evidence(holds, f"Range over {len(table1.SHARED)} VAEs. {'; '.join(said)}.", values)


def above_limit(split: str) -> dict[tuple[str, str], float]:
    """(row, corpus) -> by how much its MI exceeds log N of a split, nats; rows below are left out."""
    return {(row, dataset): excess for dataset, _ in LENGTHS for row in rows_with(dataset)
            if (excess := value(row, dataset, "MI") - checks.log_sentences(dataset, split)) > 0}


def check_mi() -> Evidence:
    """Printed MI against log N."""
    tested, trained = above_limit("test"), above_limit("train")
    named = ", ".join(f"{title(row)} {value(row, dataset, 'MI'):g} ({dataset})" for row, dataset in tested)
    limits = ", ".join(f"{d} {checks.log_sentences(d, 'test'):.2f}" for d, _ in LENGTHS)
    return Evidence(bool(trained) and set(trained) < set(tested),
                    f"log N of the test splits: {limits}; PTB train {checks.log_sentences('PTB', 'train'):.2f}. Above "
                    f"that of the test split: {named}; {len(trained)} of these are above that of the training split "
                    "too.", {"test": len(tested), "train": len(trained)})


def check_aggregate() -> Evidence:
    """KL - MI, the divergence of the aggregate posterior, against what KL - log N leaves possible."""
    every = [(row, dataset) for dataset, _ in LENGTHS for row in rows_with(dataset)]
    ordered = all(value(*cell, "MI") <= value(*cell, "KL") for cell in every)
    short = {}
    for row, dataset in every:
        least = value(row, dataset, "KL") - checks.log_sentences(dataset, "train")
        implied = value(row, dataset, "KL") - value(row, dataset, "MI")
        if implied < least:
            short[row] = (implied, least)
    row, (implied, least) = max(short.items(), key=lambda item: item[1][1] - item[1][0])
    return Evidence(ordered and implied < least, f"MI ≤ KL in all {len(every)} rows. {title(row)}: KL − MI is "
                    f"{implied:.2f} nats, KL − log N of the training split {least:.2f}; so in {len(short)} rows.",
                    {"implied": implied, "least": least, "rows": len(short)})


def check_price() -> Evidence:
    """Reconstruction gain minus KL: near zero for closed forms, 9 to 25 nats where critics read the KL."""
    found = price.prices()
    closed = [p.missing for p in found if not p.is_implicit]
    critics = {dataset: [p.missing for p in found if p.is_implicit and p.dataset == dataset] for dataset, _ in LENGTHS}
    said = "; ".join(f"{d} {min(v):.1f} to {max(v):.1f}" for d, v in critics.items())
    return Evidence(max(closed) < 3 < min(min(v) for v in critics.values()) and min(critics["PTB"]) > 14.9,
                    f"Gain minus printed KL, nats per sentence. KL in closed form: {min(closed):.1f} to "
                    f"{max(closed):.1f}".replace("-", "−") + f". KL from critics: {said}.",
                    {"closed": max(closed), **{dataset: max(v) for dataset, v in critics.items()}})


def check_arrow() -> Evidence:
    """Does a higher KL go with a better bound?"""
    kls, bounds = ([value(row, "PTB", metric) for row in CONTRASTIVE] for metric in ("KL", "-ELBO"))
    rank = float(spearmanr(kls, bounds).statistic)
    plain = [row for row in published.rows("clvm", 1) if not row.endswith("_MI:")]
    worst = max(published.rows("clvm", 1), key=lambda row: value(row, "PTB", "-ELBO"))
    place = 1 + sum(value(row, "PTB", "KL") > value(worst, "PTB", "KL") for row in plain)
    return Evidence(rank > 0 and place == 2, f"{title(worst)} has the worst −ELBO of Table 1 and, among its "
                    f"{len(plain)} rows without MI, the KL of rank {place}; over the {len(CONTRASTIVE)} contrastive "
                    f"rows Spearman's correlation of KL and −ELBO is {rank:+.2f}.", {"rank": rank, "place": place})


def check_ptb() -> Evidence:
    """The VAE on PTB in both papers."""
    ours, theirs = "ceae:11:VAE:", "clvm:4:VAE:"
    tokens = common_length(spans("PTB")).low
    rec = value(ours, "PTB", "Rec")
    implied = value(MISPRINTED, "PTB", "-ELBO") - value(MISPRINTED, "PTB", "KL")
    forward, other = value(ours, "PTB", "L-F"), value(theirs, "PTB", "forward_PPL")
    distance = value(MISPRINTED, "PTB", "-ELBO") - rec
    return Evidence(rec < 0.5 * implied and other > 100 * forward,
                    f"Rec {rec} here, {implied:.1f} implied there; forward PPL {forward} (LSTM) here, {other:,.0f} "
                    f"(5-gram) there. Rec {rec} at {tokens:.1f} tokens per sentence is a perplexity of "
                    f"{math.exp(rec / tokens):.1f} given the code: the code would carry about {distance:.0f} nats, or "
                    "sentences are cut otherwise.", {"ratio": implied / rec, "ppl": math.exp(rec / tokens)})


def check_sizes() -> Evidence:
    """Stated sizes of PTB against its files and the length that the tables imply."""
    splits = corpora.entry("ptb").splits
    train, every = splits["train"].sentences, sum(part.sentences for part in splits.values())
    words = common_length(spans("PTB")).low - 1
    said = {unit: published.setting("clvm", "PTB", unit).value for unit in ("sentences", "words")}
    near = {unit: [abs(said[unit] / count - 1) < 0.04 for count in counts] for unit, counts in
            (("sentences", (train, every)), ("words", (train * words, every * words)))}
    lengths = "; ".join(f"{d} {published.setting('clvm', d, 'average_length').value} stated, "
                        f"{common_length(spans(d)).low - 1:.2f} implied" for d in ("Yahoo", "Yelp"))
    return Evidence(near == {"sentences": [True, False], "words": [False, True]},
                    f"PTB's training split has {train:,} sentences, all splits {every:,}; at {words:.1f} words per "
                    f"sentence that is {train * words / 1e6:.2f} and {every * words / 1e6:.2f} million words. Words "
                    f"per test sentence: {lengths}.", {"train": train, "all": every, "words": words})


def table() -> Table:
    """Every row of the second paper with −ELBO: the length that its PPL implies, and its MI beside log N."""
    rows = []
    for dataset, _ in LENGTHS:
        found = spans(dataset)
        common, limit = common_length(found), checks.log_sentences(dataset, "test")
        for row, span in found.items():
            kl, mi = (value(row, dataset, metric) for metric in ("KL", "MI"))
            rows.append({
                "corpus": dataset, "model": title(row), "table": published.table_of(row)[1],
                "printed | −ELBO": Cell(value(row, dataset, "-ELBO"), f"{value(row, dataset, '-ELBO'):.1f}"),
                "printed | PPL": value(row, dataset, "PPL"), "printed | KL": kl, "printed | MI": mi,
                "tokens per sentence | implied": Cell(sum(span) / 2, f"{span.low:.2f} to {span.high:.2f}",
                                                      strong=not span.meets(common)),
                "nats | log N": limit, "nats | MI − log N": Cell(mi - limit, f"{mi - limit:.2f}".replace("-", "−"),
                                                               strong=mi > limit),
                "nats | KL − MI": round(kl - mi, 6)})
    return Table(rows, "Arithmetic of the second paper's rows", [
        f"Printed: {published.CITATIONS['clvm']}. Implied: what the digits of −ELBO and PPL leave possible. N: "
        "sentences of the test split. Bold: not possible together with the others, or above the limit."],
        "audit-arithmetic")


FINDINGS = (
    Finding("clvm-ppl", "clvm", "Tables 1, 2, 3, 7", "number", "consistent",
            "−ELBO and PPL are printed side by side",
            r"$\mathrm{PPL}=\exp(-\mathrm{ELBO}/n)$ with one number $n$ of predicted tokens per sentence for each "
            "corpus, the end symbol counted, on all rows but one. This settles what the paper does not say: −ELBO is "
            "in nats per sentence, and the PTB test file is the one that this book uses.", check_ppl,
            see="sec-audit-ppl"),
    Finding("clvm-ppl-vae", "clvm", "Table 1, VAE", "number", "inconsistent", "−ELBO and PPL of the VAE",
            "One of the two is off by a unit of its last digit. Nothing depends on it.", check_misprint,
            see="sec-audit-ppl"),
    Finding("ceae-shared-rec", "ceae", "Table 1, Rec", "number", "consistent", "Rec of VAE, β-VAE, SA-VAE and Agg-VAE",
            "Equal to −ELBO minus KL as the second paper prints them. So these are published bounds minus published "
            "KLs, as section 4.3 says (the metrics are from earlier work). Where such a bound is importance-weighted, "
            "which the released BN-VAE evaluation offers, the difference is less than the true reconstruction loss; "
            "that would favour the baselines.", check_shared_rec, see="sec-audit-price"),
    Finding("ceae-rate", "ceae", "Table 1, Rec", "number", "not comparable",
            "Reconstruction loss is compared across VAEs and deterministic codes",
            "Rec leaves out what the code costs. Among VAEs with known KL it varies several times as much as the bound "
            "Rec + KL: mostly, the more a model spends on the code the lower its Rec. A deterministic code has no "
            "price in the table at all.", check_rate, see="sec-audit-price"),
    Finding("clvm-mi", "clvm", "Tables 1, 2, 3, 7, MI", "number", "impossible",
            r"$I(\mathbf x,\mathbf z)$ under $Q(\mathbf x)Q(\mathbf z\mid\mathbf x)$, $Q(\mathbf x)$ the empirical "
            "distribution",
            r"Then $I\le\log N$ for $N$ sentences, whatever the encoder. The MI of most models that are trained for it "
            "is above that. What is printed is a difference of two critics' readings, for which there is no limit.",
            check_mi, see="sec-audit-mi"),
    Finding("clvm-aggregate", "clvm", "Tables 1, 3, KL and MI", "number", "impossible",
            "KL and MI, whose difference is the divergence of the aggregate posterior from the prior",
            r"As $\mathrm{KL}(Q(\mathbf z)\,\|\,P)=\mathbb E\,\mathrm{KL}-I\ge\mathbb E\,\mathrm{KL}-\log N$, the "
            "difference cannot be as small as printed: the aggregate divergence is underestimated. "
            r"$I\le\mathbb E\,\mathrm{KL}$ itself holds in every row.", check_aggregate, see="sec-audit-mi"),
    Finding("clvm-price", "clvm", "Tables 1, 2, 3, 7", "number", "unexplained",
            "Perplexities of implicit models are a half to a third of the VAE's on PTB",
            "What a model gains in reconstruction over the collapsed VAE it pays in KL, unless it is a better language "
            "model. Models with a closed-form KL pay. For implicit models the larger part of the gain stands against "
            "nothing: either a small LSTM became that much better a language model, or that much KL was not counted. "
            "The step from VAE to iVAE changes the estimator together with the model, so their perplexities cannot be "
            "compared until an exact or importance-weighted figure exists.", check_price, see="sec-audit-price"),
    Finding("clvm-arrow", "clvm", "section 3.1, Tables 1, 2, 3, 7", "number", "inconsistent", "KL ↑: higher is better",
            "Section 3.1 wants the KL small, the tables want it large, and an exploding KL is treated as a failure. "
            "The contrastive rows show no relation of KL and bound. Within its limit MI would say whether the code "
            "is used.",
            check_arrow),
    Finding("ceae-ptb", "ceae", "Table 11; CLVM, Tables 1 and 4", "number", "not comparable", "Results on PTB",
            "No number on PTB is comparable across the two papers: critics, Rec and perhaps the segmentation of the "
            "text differ.", check_ptb),
    Finding("clvm-sizes", "clvm", "section 4.1", "number", "inconsistent",
            "Sentences and words of the Penn Treebank, average lengths of Yahoo and Yelp",
            "The sentences of PTB are those of the training split, the words those of all splits. The average lengths "
            "are near those of the test splits that the tables imply.", check_sizes),
)
