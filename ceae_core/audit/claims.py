"""Findings about what the first paper's text claims from its tables (ceae)."""

from collections.abc import Sequence

from ceae_core.audit import maths_shares as shares
from ceae_core.audit.finding import Evidence, Finding
from ceae_core.audit.numbers import value
from ceae_core.report import published
from ceae_core.report.figures import Line, Panel
from ceae_core.report.published import title
from ceae_core.report.tables import Cell, Table

METRICS = ("Rec", "GPT2-F", "L-F", "L-R")
PAIRS = (("ceae:1:CEAE:", "ceae:1:BN-VAE:gamma=0.7"), ("ceae:2:CEAE:", "ceae:2:BN-VAE:gamma=0.7"),
         ("ceae:2:CEAE:OPTIMUS", "ceae:2:BN-VAE:gamma=0.7, OPTIMUS"), ("ceae:11:CEAE:", "ceae:11:BN-VAE:gamma=0.7"))
HUMAN, MACHINE = (4, 5), (7, 8)             # tables of choices: LSTM models, transformers
RATERS = {**dict.fromkeys(HUMAN, "human"), **dict.fromkeys(MACHINE, "gpt4")}
KINDS = {4: "LSTM", 5: "transformer", 7: "LSTM", 8: "transformer"}
ROUND = (50, 100, 200, 250, 500)            # numbers of answers that one would think of below 1000
CORRELATIONS = ("pearson", "spearman", "kendall")


def datasets(row: str) -> list[str]:
    """Corpora on which the row's table reports."""
    return list(dict.fromkeys(published.load(*published.table_of(row))["dataset"]))


def column(row: str, dataset: str, metric: str) -> dict[str, float]:
    """Row -> value of all rows that compete with `row`: its table, and there its block."""
    frame = published.load(*published.table_of(row))
    block = frame[frame["row"] == row]["architecture"].iloc[0]
    frame = frame[(frame["architecture"] == block) & (frame["dataset"] == dataset) & (frame["metric"] == metric)]
    return dict(zip(frame["row"], frame["value"], strict=True))


def lost(pairs: Sequence[tuple[str, str]] = PAIRS) -> tuple[list[tuple[str, str, str, str]], int]:
    """(row, rival, corpus, metric) where the first of a pair is not better (lower), and the number of comparisons."""
    every = [(*pair, dataset, metric) for pair in pairs for dataset in datasets(pair[0]) for metric in METRICS]
    return [cell for cell in every if value(cell[0], *cell[2:]) >= value(cell[1], *cell[2:])], len(every)


def check_all_cases() -> Evidence:
    found, count = lost()
    said = []
    for ours, rival, dataset, metric in found:
        every = column(ours, dataset, metric)
        place = 1 + sum(v < every[ours] for v in every.values())
        said.append(f"{dataset} {metric} in Table {published.table_of(ours)[1]} ({every[ours]} against {every[rival]}, "
                    f"place {place} of {len(every)})")
    return Evidence(0 < len(found) < count / 8, f"CEAE is better than BN-VAE (0.7) in {count - len(found)} of {count} "
                    f"cells of Tables 1, 2 and 11, and not in {'; '.join(said)}.", {"lost": len(found), "of": count})


def check_more_labels() -> Evidence:
    row = "ceae:3:CEAE:"
    (dataset,) = datasets(row)
    margins = []
    for metric in published.load("ceae", 3)["metric"].unique():
        every = column(row, dataset, metric)
        margins.append(round(every.pop(row) - max(every.values()), 6))
    top = margins.index(max(margins))
    labels = [m.split("@")[1].removesuffix("labels") for m in published.load("ceae", 3)["metric"].unique()]
    return Evidence(top < len(margins) - 1 and margins[-1] < margins[1], "Margin over the best rival with "
                    f"{', '.join(labels)} labels: {', '.join(f'{m:.1f}' for m in margins)} percentage points; largest "
                    f"at {labels[top]}.", {label: margin for label, margin in zip(labels, margins, strict=True)})


def choices(table: int, dataset: str) -> list[float]:
    """Shares of CEAE, BN-VAE and VAE in percent."""
    return [value(f"ceae:{table}:{model}:", dataset, f"choice_share_{RATERS[table]}")
            for model in ("CEAE", "BN-VAE", "VAE")]


def cells(tables: Sequence[int]) -> dict[str, list[float]]:
    """"Yahoo, LSTM" -> shares."""
    return {f"{dataset}, {KINDS[table]}": choices(table, dataset) for table in tables for dataset in ("Yahoo", "Yelp")}


def asked() -> tuple[int, int]:
    """Questions and raters of the human study."""
    return tuple(int(published.setting("ceae", "human study", name).value) for name in ("questions", "raters"))


def check_advantage() -> Evidence:
    found, (questions, raters) = cells(HUMAN), asked()
    fitting = [n for n in ROUND if all(shares.fits(s, n) for s in found.values())]
    z = {name: shares.share_z(*s[:2], questions) for name, s in found.items()}
    weak = {name: v for name, v in z.items() if v < 1.96}
    all_z = min(shares.share_z(*s[:2], questions * raters) for s in found.values())
    needed = ", ".join(f"{name} {shares.answers_needed(*found[name][:2])}" for name in weak)
    return Evidence(not fitting and all_z > 3 and len(weak) == 2, f"Numbers of answers that fit all four "
                    f"cells among {', '.join(map(str, ROUND))}: {len(fitting)}. With {questions * raters:,} "
                    f"independent answers per cell z ≥ {all_z:.1f} everywhere; with {questions} "
                    + ", ".join(f"{name} has {v:.2f}" for name, v in weak.items())
                    + f". Independent answers needed there: {needed}.", {"all": all_z, **z})


def check_machine() -> Evidence:
    human, machine, (questions, _) = cells(HUMAN), cells(MACHINE), asked()
    higher = [name for name in human if machine[name][0] > human[name][0]]
    ratios = [name for name in human if machine[name][0] / machine[name][1] > human[name][0] / human[name][1]]
    single = [name for name in machine if shares.fits(machine[name], questions)]
    said = ", ".join(f"{name} {human[name][0]} → {machine[name][0]}" for name in human)
    return Evidence(len(higher) == len(ratios) == 4 and not single, f"Share of CEAE by humans → by GPT-4, percent: "
                    f"{said}; the ratio to BN-VAE rises in {len(ratios)} of {len(human)}. One answer to each of "
                    f"{questions} questions fits {len(single)} of the four.", {"rise": len(ratios)})


def check_close() -> Evidence:
    ratios = {}
    for ours, _ in PAIRS:
        for dataset in datasets(ours):
            both = [value(ours, dataset, metric) for metric in ("GPT2-F", "L-F")]
            ratios[f"{dataset} in Table {published.table_of(ours)[1]}, {title(ours)}"] = max(both) / min(both)
    near = {name: ratio for name, ratio in ratios.items() if ratio < 1.25}
    far = {name: ratio for name, ratio in ratios.items() if ratio > 1.5}
    lstm = [name for name in near if "Table 1," in name]
    said = ", ".join(f"{name} {ratio:.1f}" for name, ratio in far.items())
    return Evidence(len(lstm) == 2 and len(far) == 2, f"Ratio of the two forward perplexities of CEAE: at most "
                    f"{max(near.values()):.2f} in {len(near)} of {len(ratios)} cells, both of Table 1 among them; "
                    f"above 1.5: {said}.", ratios)


def check_lambda() -> Evidence:
    """Triplets of section A.5 against the OPTIMUS block of Table 2."""
    ours, rival = PAIRS[2]
    forward, worse, near, better = METRICS[1:], [], [], []
    for row, dataset in published.load("ceae", "A.5")[["row", "dataset"]].drop_duplicates().itertuples(index=False):
        rec, best = value(row, dataset, "Rec"), value(ours, dataset, "Rec")
        worse.append(all(value(row, dataset, m) > value(ours, dataset, m) for m in forward))
        near.append(max(abs(value(row, dataset, m) / value(rival, dataset, m) - 1) for m in forward))
        if rec < best:
            better.append(f"{dataset}, {title(row)}: {rec} against {best}")
    return Evidence(all(worse) and len(better) == len(worse), f"In all {len(worse)} settings of A.5 the three "
                    "perplexities are above CEAE's; those of the one that is called comparable to BN-VAE are within "
                    f"{100 * min(near):.0f} % of it. Rec below the bold Rec of CEAE: {'; '.join(better)}.",
                    {"better": len(better)})


def check_strong_baseline() -> Evidence:
    small = [f"{d} {m} {value(PAIRS[1][1], d, m)} against {value('ceae:2:VAE:', d, m)} of the VAE"
             for d in datasets(PAIRS[1][1]) for m in METRICS
             if value(PAIRS[1][1], d, m) > value("ceae:2:VAE:", d, m)]
    large = [(d, m) for d in datasets(PAIRS[2][1]) for m in METRICS
             if value(PAIRS[2][1], d, m) > value("ceae:2:OPTIMUS:", d, m)]
    second = []
    for dataset in datasets(PAIRS[0][0]):
        for metric in METRICS:
            rivals = column(PAIRS[0][0], dataset, metric)
            rivals.pop(PAIRS[0][0])
            second.append(min(rivals, key=rivals.get).startswith("ceae:1:BN-VAE"))
    return Evidence(second.count(False) == 1 and len(small) == 2 and large == [("Yahoo", m) for m in METRICS], f"After "
                    f"CEAE a row of BN-VAE is the best in {sum(second)} of {len(second)} columns of Table 1. Small "
                    f"transformer: {', '.join(small)}. With OPTIMUS, BN-VAE is worse than the plain model in "
                    f"{len(large)} cells, all of Yahoo's four.", {"small": len(small), "large": len(large)})


def correlations() -> dict[str, tuple[float, ...]]:
    """"CEAE, Yahoo" -> Pearson, Spearman, Kendall."""
    return {f"{title(row)}, {datasets(row)[0]}": tuple(
        value(row, datasets(row)[0], f"{name}_corr_with_bert_inner_products") for name in CORRELATIONS)
        for table in (9, 10) for row in published.rows("ceae", table)}


def check_kendall() -> Evidence:
    found = correlations()
    above = [name for name, (_, rho, tau) in found.items() if tau > rho]
    possible = all(rho >= shares.least_spearman(tau) for _, rho, tau in found.values())
    gaps = [rho - r for r, rho, _ in found.values()]
    name, (_, rho, tau) = next(iter(found.items()))
    best = all(v[i] == max(w[i] for key, w in found.items() if key.endswith(k.split(", ")[1]))
               for k, v in found.items() if k.startswith("CEAE") for i in range(3))
    return Evidence(best and possible and len(above) == len(found) - 1, f"Kendall exceeds Spearman in {len(above)} of "
                    f"{len(found)} columns, and Spearman exceeds Pearson by {min(gaps):.2f} to {max(gaps):.2f}. For "
                    f"jointly normal ranks ({name}) a Kendall of {tau:.2f} goes with a Spearman of "
                    f"{shares.spearman_of(tau):.2f}, a Spearman of {rho:.2f} with a Kendall of "
                    f"{shares.kendall_of(rho):.2f}. The bound Spearman ≥ (3 Kendall − 1)/2 is kept in all.",
                    {"above": len(above)})


def check_interpolation() -> Evidence:
    pairs = dict(list(published.sentences("ceae").groupby("pair", sort=False)))
    mixed = pairs["positive-negative"]
    ends, inner = mixed[mixed["type"] == "source"]["score"], mixed[mixed["type"] == "interpolation"]
    first, last = ends.iloc[0], ends.iloc[-1]
    linear = [w * first + (1 - w) * last for w in inner["weight_on_first_source"]]
    outside = [f"{s} in the {name} pair (ends {e.min()} and {e.max()})" for name, frame in pairs.items()
               for e in [frame[frame["type"] == "source"]["score"]]
               for s in frame[frame["type"] == "interpolation"]["score"] if not e.min() <= s <= e.max()]
    near = [s for s in inner["score"] if abs(s - 0.5) < 0.1]
    count = sum((frame["type"] == "interpolation").sum() for frame in pairs.values())
    return Evidence(len(near) == 1 and bool(outside), f"Scores between a positive and a negative review: "
                    f"{', '.join(map(str, inner['score']))}; linear mixing of the ends gives "
                    f"{', '.join(f'{v:.2f}' for v in linear)}. Outside its ends: {', '.join(outside)}. There are "
                    f"{count} interpolated sentences in {len(pairs)} pairs, none at the middle.", {"near": len(near)})


# for the page --------------------------------------------------------------------------------------------------------

def share_table() -> Table:
    """The shares of choices, the numbers of answers that fit them, and what they show."""
    rows, (questions, raters) = [], asked()
    for tables, who in ((HUMAN, "humans"), (MACHINE, "GPT-4")):
        for name, found in cells(tables).items():
            fitting = [n for n in ROUND if shares.fits(found, n)]
            rows.append({"by": who, "of": name, **{f"share (%) | {model}": s for model, s in zip(
                ("CEAE", "BN-VAE", "VAE"), found, strict=True)},
                "answers | smallest that fit": next(n for n in range(1, 1001) if shares.fits(found, n)),
                f"answers | of {', '.join(map(str, ROUND))} fit": Cell(
                    ", ".join(map(str, fitting)) or "none"),
                "answers | needed for 5 %": shares.answers_needed(*found[:2]),
                f"z | n = {questions}": shares.share_z(*found[:2], questions),
                f"z | n = {questions * raters}": shares.share_z(*found[:2], questions * raters)})
    return Table(rows, "Shares of choices and the number of answers behind them", [
        f"Published: {published.CITATIONS['ceae']}, Tables 4, 5, 7, 8. Any shares with one decimal fit 1,000 answers. "
        "z: difference of CEAE and BN-VAE in standard errors, answers independent; 1.96 is the 5 % level."],
        "audit-shares", digits={f"share (%) | {model}": 1 for model in ("CEAE", "BN-VAE", "VAE")})


def share_panel() -> Panel:
    """z of CEAE against BN-VAE by the number of independent answers, humans."""
    counts = [20, 30, 50, 70, 100, 140, 200, 300, 400, 500, 700, 1000]
    lines = [Line(name, counts, [shares.share_z(*found[:2], n) for n in counts], i)
             for i, (name, found) in enumerate(cells(HUMAN).items())]
    return Panel("", "independent answers per cell", "difference (standard errors)", lines, {"5 % level": 1.96},
                 logarithmic="x")


def correlation_table() -> Table:
    """The three correlations, and what a Gaussian copula would have for each of two of them."""
    rows = [{"model and corpus": name, "printed | Pearson": r, "printed | Spearman": rho, "printed | Kendall": tau,
             "normal ranks | Spearman for that Kendall": shares.spearman_of(tau),
             "normal ranks | Kendall for that Spearman": shares.kendall_of(rho),
             "smallest Spearman possible": shares.least_spearman(tau)}
            for name, (r, rho, tau) in correlations().items()]
    return Table(rows, "Correlation with BERT", [f"Printed: {published.CITATIONS['ceae']}, Tables 9 and 10."],
                 "audit-correlations")


FINDINGS = (
    Finding("ceae-all-cases", "ceae", "abstract, section 1", "claim", "partly supported",
            "“In all cases” better than BN-VAE; consistent across LSTM and transformer",
            "In nine of ten, not in all. “In general … and if not is close to the top performer” (section 5) is a fair "
            "summary.", check_all_cases),
    Finding("ceae-labels", "ceae", "section 5, Table 3", "claim", "not supported",
            "Superior especially as more labels become available",
            "CEAE is the best or level with the best in every column, but its margin does not grow with the labels; it "
            "shrinks at the end. No cell has a spread, and the margins are fractions of a point.", check_more_labels),
    Finding("ceae-human", "ceae", "section 5, Tables 4, 5", "claim", "partly supported",
            "A significant advantage in human choice",
            "It depends on the number of independent answers, which is not given. If every rater answered every "
            "question for each cell, and answers to one question are independent, all four cells are significant; if "
            "only questions are independent, two are not. Agreement among raters, the allocation of questions and "
            "which transformer is judged are not said.", check_advantage, see="sec-audit-shares"),
    Finding("ceae-gpt4", "ceae", "appendix D, Tables 7, 8", "claim", "supported",
            "GPT-4 gave stronger results towards CEAE than the human raters",
            "Yes, in every cell. How many answers, which version and in which order is not said, so neither agreement "
            "with the raters nor an effect of order can be judged.", check_machine, see="sec-audit-shares"),
    Finding("ceae-critics", "ceae", "section 5", "claim", "partly supported",
            "The forward perplexities of the two critics are close",
            "For LSTM models and small transformers; not for OPTIMUS on Yahoo nor on PTB. The perplexity of real text "
            "is not given, so there is no reference for what a low one means.", check_close),
    Finding("ceae-lambda", "ceae", "appendix A.5", "claim", "partly supported",
            r"OPTIMUS with other $\lambda$: better Rec, but “statistically comparable” or “significantly worse”",
            r"The order is as said. Nothing backs the words about significance: no transformer result has a spread. In "
            r"every setting named, Rec is below CEAE's: its bold Rec in Table 2 holds for the lowest $\lambda$ only.",
            check_lambda),
    Finding("ceae-baseline", "ceae", "section 2.4", "claim", "partly supported", "BN-VAE is a strong baseline",
            "Of the LSTM models it is the best after CEAE in all columns but one. Among transformers the plain models "
            "are at times better.",
            check_strong_baseline),
    Finding("ceae-bert", "ceae", "appendix E, Tables 9, 10", "claim", "partly supported",
            "CEAE agrees best with BERT in three correlations",
            "The order is as claimed in every row. But the three rows hardly belong to three coefficients of one set "
            "of pairs: Kendall's is normally well below Spearman's. A mislabelled row or another coefficient is our "
            "guess; it would leave the order as it is.", check_kendall, see="sec-agreement"),
    Finding("ceae-interpolation", "ceae", "section 6, Table 6", "claim", "not supported",
            "Between reviews of different kind the score is around 0.5; between reviews of one kind it stays",
            "A handful of chosen sentences cannot carry it. One of the two mixed ones is near the middle, about where "
            "linear mixing would put it; the other is not. One sentence falls outside the scores of its ends.",
            check_interpolation),
    Finding("ceae-unshown", "ceae", "appendix A.1, A.3, A.4, F", "claim", "not checkable",
            "Other weights and momenta do nearly as well; the seed does not matter; two stages are necessary; layer "
            "norm works", "No numbers are given. This book trains layer norm ({doc}`layer_norm`) and other seeds "
            "({doc}`statistics`).",
            basis="Read: the text names no figures for these statements."),
    Finding("ceae-ablation", "ceae", "Tables 1, 2, 11", "claim", "not checkable",
            "The contrastive term makes the difference",
            "No other deterministic code (plain, RAE, WAE) is in the tables of language modelling, and neither noise, "
            "contrast nor batch norm is left out in turn. So the tables do not tell the contrastive term from a code "
            "without noise; {doc}`likelihood_axis` and {doc}`ceae_language_models` have such rows. “Skips "
            r"reparametrisation” is true once the noise has ended, after $t_{\max}$.",
            basis="Read: the rows of Tables 1, 2 and 11; a plain autoencoder is in Table 3 only."),
)
