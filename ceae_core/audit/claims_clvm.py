"""Findings about what the second paper's text claims from its tables (clvm)."""

from ceae_core.audit.claims import column
from ceae_core.audit.finding import Evidence, Finding
from ceae_core.audit.numbers import value
from ceae_core.report import published
from ceae_core.report.published import title

LOW = ("-ELBO", "PPL")                      # metrics of which less is better
METRICS = ("-ELBO", "PPL", "KL", "MI")
CONTRASTIVE = ("cVAE:", "cVAE_MI:", "cVAE+:", "cVAE+_MI:")
BEST = "cVAE+_MI:"


def is_contrastive(row: str) -> bool:
    """Whether a row is one of the paper's own models."""
    return published.model_of(row).startswith("cVAE")


def change(row: str, other: str, dataset: str, metric: str) -> float:
    """What the first model's number is above the other's, in percent of the latter."""
    return 100 * (value(row, dataset, metric) / value(other, dataset, metric) - 1)


def changes(row: str, other: str, dataset: str) -> str:
    """KL and MI of a model against another's, for a sentence."""
    return " and ".join(f"{metric} {change(row, other, dataset, metric):+.0f} %".replace("-", "−")
                        for metric in ("KL", "MI"))


def place(row: str, dataset: str, metric: str) -> int:
    """The rank of a row in its column, 1 the best as the paper reads the metric."""
    every, low = column(row, dataset, metric), metric in LOW
    return 1 + sum(v < every[row] if low else v > every[row] for v in every.values())


def claimed(section: str, dataset: str) -> list[tuple[str, float, float]]:
    """(metric, claimed, printed) for the differences between named models that a section claims on a corpus."""
    table, out = {"PTB": 1}.get(dataset, 2), []
    for claim in published.differences("clvm").itertuples():
        if (claim.section, claim.dataset) == (section, dataset):
            ours, other = (value(f"clvm:{table}:{model}:", dataset, claim.metric) for model in (
                claim.model, claim.baseline))
            out.append((claim.metric, claim.claimed_difference, abs(round(ours - other, 6))))
    return out


def points() -> float:
    """By how much the introduction says that perplexity falls."""
    (least,) = [claim.claimed_difference for claim in published.differences("clvm").itertuples()
                if claim.section == "1"]
    return least


def check_points() -> Evidence:
    least = points()
    gains = {base: [value(f"clvm:1:{base}:", "PTB", "PPL") - value(f"clvm:1:{model}", "PTB", "PPL")
                    for model in CONTRASTIVE] for base in ("iVAE", "iVAE_MI")}
    short = [gain for gain in gains["iVAE_MI"] if gain <= least]
    return Evidence(min(gains["iVAE"]) > least and len(short) == 2, "PPL of iVAE minus PPL of the contrastive models: "
                    f"{', '.join(f'{g:.2f}' for g in gains['iVAE'])}. Against iVAE_MI: "
                    f"{', '.join(f'{g:.2f}' for g in gains['iVAE_MI'])}.", {"least": min(gains["iVAE"])})


def _as_claimed(*where: tuple[str, str]) -> Evidence:
    found = {dataset: claimed(section, dataset) for section, dataset in where}
    said = "; ".join(f"{dataset}: " + ", ".join(f"{m.replace('-', '−')} {printed:g}" for m, _, printed in rows)
                     for dataset, rows in found.items())
    exact = all(abs(said - printed) < 1e-9 for rows in found.values() for _, said, printed in rows)
    return Evidence(exact and all(found.values()), f"Differences of the printed numbers, all as claimed: {said}.",
                    {f"{dataset}_{m}": printed for dataset, rows in found.items() for m, _, printed in rows})


def check_differences() -> Evidence:
    found = _as_claimed(("4.2", "PTB"))
    equal = [round(value(row, "PTB", "KL") - value(row, "PTB", "MI"), 6) for row in ("clvm:1:iVAE:", "clvm:1:cVAE:")]
    return Evidence(found.holds and equal[0] == equal[1], f"{found.shown} KL and MI change by the same number because "
                    f"KL − MI is {equal[0]:g} in both rows.", found.values)


def check_large_corpora() -> Evidence:
    return _as_claimed(("4.2", "Yahoo"), ("4.2", "Yelp"))


def check_simplest() -> Evidence:
    simplest, baselines = "clvm:1:cVAE:", [row for row in published.rows("clvm", 1) if not is_contrastive(row)]
    wins = {metric: all((value(simplest, "PTB", metric) - value(row, "PTB", metric)) * (1 if metric in LOW else -1) < 0
                        for row in baselines) for metric in METRICS}
    other = "clvm:1:iVAE_MI:"
    said = ", ".join(f"{m} {value(simplest, 'PTB', m):g} against {value(other, 'PTB', m):g}" for m in ("KL", "MI"))
    return Evidence(wins == {"-ELBO": True, "PPL": True, "KL": False, "MI": False},
                    f"cVAE is ahead of all {len(baselines)} baselines in −ELBO and PPL; iVAE_MI is ahead of it in the "
                    f"others: {said}.", {metric: float(won) for metric, won in wins.items()})


def check_third() -> Evidence:
    places = {metric: place(f"clvm:1:{BEST}", "PTB", metric) for metric in ("KL", "MI")}
    losses = {with_mi: changes(f"clvm:1:cVAE+{with_mi}:", f"clvm:1:cVAE{with_mi}:", "PTB") for with_mi in ("_MI", "")}
    worst = min(change(f"clvm:1:{BEST}", "clvm:1:cVAE_MI:", "PTB", m) for m in ("KL", "MI"))
    return Evidence(places == {"KL": 3, "MI": 3} and worst < -20, f"cVAE+_MI has rank {places['KL']} in KL and "
                    f"{places['MI']} in MI. Against the same model without the circle loss: {losses['_MI']}; without "
                    f"MI {losses['']}.", {"worst": worst})


def check_comparable() -> Evidence:
    ours, other, plain = (f"clvm:2:{model}:" for model in ("cVAE+_MI", "iVAE_MI", "iVAE"))
    second = {m: place(ours, "Yelp", m) for m in ("KL", "MI")}
    above = all(value(ours, d, m) > value(plain, d, m) for d in ("Yahoo", "Yelp") for m in ("KL", "MI"))
    worst = min(change(ours, other, d, m) for d in ("Yahoo", "Yelp") for m in ("KL", "MI"))
    return Evidence(set(second.values()) == {2} and above and worst < -20, "cVAE+_MI against iVAE_MI: Yahoo "
                    f"{changes(ours, other, 'Yahoo')}, Yelp {changes(ours, other, 'Yelp')}. Above iVAE in both; rank "
                    f"{second['KL']} on Yelp.", {"worst": worst})


def check_generation() -> Evidence:
    rows = published.rows("clvm", 4)
    ours = [row for row in rows if is_contrastive(row)]
    forward = sorted(rows, key=lambda row: value(row, "PTB", "forward_PPL"))
    reverse = min(rows, key=lambda row: value(row, "PTB", "reverse_PPL"))
    absent = [title(row) for row in rows if row.replace("clvm:4:", "clvm:1:") not in published.rows("clvm", 1)]
    return Evidence(len(ours) == 1 and reverse == ours[0] and forward.index(ours[0]) == 1,
                    f"The contrastive rows of Table 4: {', '.join(map(title, ours))}, with the lowest reverse PPL, "
                    f"{value(ours[0], 'PTB', 'reverse_PPL'):,.0f}, and the second forward PPL, "
                    f"{value(ours[0], 'PTB', 'forward_PPL'):g} after {value(forward[0], 'PTB', 'forward_PPL'):g}. Rows "
                    f"that Table 1 lacks: {', '.join(absent)}.", {"contrastive": len(ours)})


def check_place_of_contrast() -> Evidence:
    gaps = {model: value(f"clvm:3:{model}:contrast_on=h", "PTB", "-ELBO")
            - value(f"clvm:3:{model}:contrast_on=z", "PTB", "-ELBO") for model in ("cVAE", "cVAE_MI")}
    return Evidence(all(gap > 0 for gap in gaps.values()) and gaps["cVAE"] < 0.5, "−ELBO with contrast on h minus that "
                    f"on z: {', '.join(f'{model} {gap:.1f} nats' for model, gap in gaps.items())}.", gaps)


def check_augmentation() -> Evidence:
    swap, dropout = (f"clvm:7:cVAE+_MI:augmentation={name}" for name in ("swap", "dropout"))
    gaps = {metric: value(swap, "PTB", metric) - value(dropout, "PTB", metric) for metric in METRICS}
    rate = published.setting("clvm", "PTB", "swap_probability").value
    return Evidence(gaps["-ELBO"] > 0 and gaps["PPL"] > 0 and gaps["KL"] < 0, f"Swap minus dropout: −ELBO "
                    f"{gaps['-ELBO']:+.1f} nats, PPL {gaps['PPL']:+.2f}; one swap probability, {rate}.", gaps)


def check_epochs() -> Evidence:
    own, base, longest = (published.setting("clvm", "synthetic", name).value for name in (
        "own_convergence_K4", "baseline_convergence_K4", "epochs_high"))
    return Evidence(own < base == longest, f"For four categories {own:,.0f} epochs are stated against {base:,.0f} of "
                    f"the baselines, which is where the longest training ends ({longest:,.0f}); no curve or number "
                    "shows convergence.", {"own": own, "baseline": base})


FINDINGS = (
    Finding("clvm-points", "clvm", "section 1", "claim", "supported",
            f"Perplexity on PTB more than {points():g} points below iVAE",
            "Every contrastive model is that far below iVAE. Against iVAE_MI, which section 3.2 calls the main "
            "baseline, two of the four are just short of it. What a perplexity from critics is worth is another "
            "question, see {ref}`the numbers <sec-audit-price>`.", check_points, see="sec-audit-price"),
    Finding("clvm-differences", "clvm", "section 4.2", "claim", "supported", "cVAE against iVAE on PTB, in numbers",
            "All four differences are those of the table.", check_differences),
    Finding("clvm-simplest", "clvm", "section 4.2", "claim", "partly supported",
            "“Our simplest model outperforms all the baselines”", "In −ELBO and PPL; not in KL and MI.",
            check_simplest),
    Finding("clvm-third", "clvm", "section 4.2", "claim", "partly supported",
            "The circle loss “slightly hurts” KL and MI, which still rank third",
            "The rank is right; a loss of a quarter and more is not slight.", check_third),
    Finding("clvm-large", "clvm", "section 4.2", "claim", "supported",
            "−ELBO and PPL against iVAE_MI on Yahoo and Yelp", "All four differences are those of the table.",
            check_large_corpora),
    Finding("clvm-comparable", "clvm", "section 4.2", "claim", "partly supported",
            "KL and MI above iVAE and comparable to iVAE_MI; second on Yelp",
            "Above iVAE and second on Yelp, yes. About a quarter below iVAE_MI is not comparable.", check_comparable),
    Finding("clvm-generation", "clvm", "section 4.3, Table 4", "claim", "not checkable",
            "In reverse PPL cVAE+ is ahead of all baselines and cVAE_MI gives the best values",
            "Neither model has a row; the one contrastive row, cVAE+_MI, has the lowest reverse PPL and the second "
            "forward PPL, as the text says of “our model”. Probably that model is meant.", check_generation),
    Finding("clvm-h-or-z", "clvm", "section 4.3, Table 3", "claim", "supported", "Contrast on z is better than on h",
            "In both pairs. For the plain model the difference is small, and there is one run of each.",
            check_place_of_contrast),
    Finding("clvm-swap", "clvm", "section 4.7, Table 7", "claim", "supported", "Dropout augments better than swaps",
            "At one swap rate and with one run each. The text says that swaps make negatives, the table that they take "
            "the place of dropout, which makes positives; {doc}`ablations` has the latter.", check_augmentation),
    Finding("clvm-runs", "clvm", "all tables", "claim", "not checkable", "Differences between models",
            "No number of runs, seed or spread is given anywhere. Four variants are compared on the PTB test set and "
            "the best goes on to Yahoo and Yelp; models are chosen on the validation set, but whether the variant was "
            "is not said.", basis="Read: sections 4.1 and 4.2, and the tables."),
    Finding("clvm-figures", "clvm", "Figures 3, 4, Table 5", "claim", "not checkable",
            "KL of the circle variant is stable, a dropout rate is best, the clusters separate sooner",
            "Pictures only; {doc}`kl_negativity`, {doc}`ablations` and {doc}`synthetic_clusters` make them anew. "
            "Section 4.4 refers to Table 2 where Table 5 is meant.", check_epochs),
)
