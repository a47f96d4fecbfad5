"""The first paper's Table 1 and our runs: where its numbers come from, in which order, claim by claim."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.manifest import COMPLETE
from ceae_core.report import published
from ceae_core.report.results import Result, matching, zoo_row
from ceae_core.report.tables import Table

MOST_PAIRS = 6              # of those ordered differently, in a cell
REC, IW, KL = "rec_nats_per_sentence", "nll_iw_nats", "kl_nats"


# Rows that both papers print: of CEAE Table 1 and of CLVM Table 2
SHARED = (("ceae:1:VAE:", "clvm:2:VAE:"), ("ceae:1:beta-VAE:beta=0.4", "clvm:2:betaVAE:beta=0.4"),
          ("ceae:1:SA-VAE:", "clvm:2:SaVAE:"), ("ceae:1:Agg-VAE:", "clvm:2:LagVAE:"))


def rec_provenance() -> Table:
    """CEAE's Rec of the baselines against the -ELBO and KL that CLVM prints for the same models."""
    rows = []
    for dataset in ("Yahoo", "Yelp"):
        for ours, theirs in SHARED:
            bound, kl = (published.cell(theirs, dataset, metric).value for metric in ("-ELBO", "KL"))
            rec = published.cell(ours, dataset, "Rec").value
            rows.append({"corpus": dataset, "model": published.model_of(ours), "CLVM, Table 2 | “−ELBO” (nats)": bound,
                         "CLVM, Table 2 | KL (nats)": kl, "CLVM, Table 2 | difference (nats)": round(bound - kl, 6),
                         "CEAE, Table 1 | Rec (nats)": rec,
                         "CEAE, Table 1 | minus that (nats)": round(rec - bound + kl, 6)})
    return Table(rows, "Where the published Rec of the baselines comes from", name="rec-provenance", places=1)


def rank_agreement(first: Mapping[str, float], second: Mapping[str, float],
                   ) -> tuple[float, list[tuple[str, str]], int]:
    """Kendall's tau-b over the rows that two columns share, the pairs they order differently, the number of all pairs.

    Raises CeaeError when they share fewer than three rows.
    """

    from scipy.stats import kendalltau
    shared = [row for row in first if row in second]
    if len(shared) < 3:
        raise CeaeError(f"rank agreement: only {len(shared)} rows have both numbers; at least 3 are needed")
    flipped = [(a, b) if first[a] < first[b] else (b, a) for a, b in combinations(shared, 2)
               if (first[a] - first[b]) * (second[a] - second[b]) < 0]
    tau = kendalltau([first[r] for r in shared], [second[r] for r in shared]).statistic
    return float(tau), flipped, len(shared) * (len(shared) - 1) // 2


def _means(built: Sequence[Result], metric: str) -> dict[str, float]:
    """Published row -> mean of a measure over complete seeds, for the rows that were built and have it."""
    out = {}
    for key in published.rows("ceae", 1):
        values = [r.metric(metric) for r in matching(key, built) if r.status == COMPLETE]
        if values and None not in values:
            out[key] = sum(values) / len(values)
    return out


def order_table(built: Sequence[Result]) -> Table:
    """How far the order of the rows by published Rec agrees between corpora and with measures of our runs."""
    printed = {d: {key: published.cell(key, d, "Rec").value for key in published.rows("ceae", 1)}
               for d in ("Yahoo", "Yelp")}
    rec, bound, kl = (_means(built, metric) for metric in (REC, IW, KL))
    carried = {key: bound[key] - kl.get(key, 0.0) if zoo.family(zoo_row(key)[0]).is_bounded else value
               for key, value in rec.items()}
    pairs = [("published Yahoo, published Yelp", printed["Yahoo"], printed["Yelp"])]
    pairs += [(f"published {d}, {what}", printed[d], ours) for d in printed for what, ours in (
        ("our Rec", rec), ("our carried-over Rec", carried), ("our IW bound", bound))]
    rows = []
    for label, first, second in pairs:
        tau, flipped, number = rank_agreement(first, second)
        names = ", ".join(f"{_short(a)} < {_short(b)}" for a, b in flipped[:MOST_PAIRS])
        names += f" and {len(flipped) - MOST_PAIRS} more" if len(flipped) > MOST_PAIRS else ""
        rows.append({"orders compared": label, "Kendall's tau": tau,
                     "pairs ordered differently": f"{len(flipped)} of {number}", "which (as published)": names or None})
    return Table(rows, "Agreement of orders, smallest number first", name="ceae-table1-order")


def _short(key: str) -> str:
    _, _, model, variant = key.split(":")
    return f"{model} {variant.split('=')[-1]}".strip()


def claims(built: Sequence[Result], plain: Sequence[Result]) -> Table:
    """What Table 1 is read to say, and whether it holds for the built rows; `plain` are runs of the autoencoder."""
    rec, bound = _means(built, REC), _means(built, IW)
    ceae, bn6, bn7 = "ceae:1:CEAE:", "ceae:1:BN-VAE:gamma=0.6", "ceae:1:BN-VAE:gamma=0.7"
    best = {metric: min(values, key=values.get) for metric, values in (("rec", rec), ("bound", bound))}
    others = {key: value for key, value in rec.items() if key != ceae}
    second = min(others, key=others.get)
    ae = {m: sum(r.metric(m) for r in plain) / len(plain) for m in (REC, IW)}
    vae = rec["ceae:1:VAE:"]
    tests = [
        ("CEAE has the lowest Rec of all rows", best["rec"] == ceae,
         f"CEAE {rec[ceae]:.2f}; next {_short(second)} {rec[second]:.2f} nats"),
        ("BN-VAE is the best of the others, gamma 0.7 before 0.6", second == bn7 and rec[bn7] < rec[bn6],
         f"0.7: {rec[bn7]:.2f}, 0.6: {rec[bn6]:.2f} nats"),
        ("CEAE has a lower Rec than the plain autoencoder (not in the table)", rec[ceae] < ae[REC],
         f"CEAE {rec[ceae]:.2f}, ae {ae[REC]:.2f} nats"),
        ("most of CEAE's gain in Rec over the VAE is there in the plain autoencoder",
         2 * (vae - ae[REC]) > vae - rec[ceae],
         f"VAE {vae:.2f}, ae {ae[REC]:.2f}, CEAE {rec[ceae]:.2f} nats"),
        ("CEAE has a lower IW bound than the plain autoencoder (not in the table)", bound[ceae] < ae[IW],
         f"CEAE {bound[ceae]:.2f}, ae {ae[IW]:.2f} nats"),
        ("the row with the lowest Rec is the best model of the text by the IW bound", best["rec"] == best["bound"],
         f"lowest bound: {_short(best['bound'])} {bound[best['bound']]:.2f}; {_short(best['rec'])} "
         f"{bound[best['rec']]:.2f} nats"),
    ]
    seeds = len({r.seed for r in built})
    rows = [{"claim": claim, "here": "yes" if holds else "no", "numbers": numbers} for claim, holds, numbers in tests]
    caption = f"Claims and the runs of this build ({seeds} seed{'s' * (seeds > 1)})"
    return Table(rows, caption, name="ceae-table1-claims")
