"""Figures and tables of the experiments on the dual estimator: known KL, perfect critic, refitted critics."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ceae_core.experiments.critic_fit import Recipe
from ceae_core.experiments.dual_estimator import circle_optimum, draws_needed
from ceae_core.report.figures import Line, Panel
from ceae_core.report.tables import Cell, Table

Content = Mapping[str, Any]         # what `experiments.obtain` returns
LEAST = -1e6                        # nats; estimates below are drawn here
EXPONENT_FROM = 1e5                 # numbers of at least this size are written as powers of ten
SHIFTS = tuple(c / 4 for c in range(81))                # nats
REPETITIONS = 200                                       # at least, behind a share
DRAWS, UPDATES = "draws of the prior", "updates of the critic"
LOSS_NAMES = {"fenchel": "dual", "circle": "circle"}


def nats(value: float | None, title: str = "") -> Cell:
    """A number that may have exploded: from a thousand on without decimals, from EXPONENT_FROM on its order only."""
    if value is None or abs(value) < 1000:
        return Cell(value, title=title)
    if abs(value) < EXPONENT_FROM:
        return Cell(value, f"{value:,.0f}".replace("-", "−"), title)
    return Cell(value, f"{'−' if value < 0 else ''}10^{math.floor(math.log10(abs(value)))}", title)


def shown(values: Sequence[float]) -> list[float]:
    """Estimates as they are drawn, none below LEAST."""
    return [max(value, LEAST) for value in values]


def tracks(contents: Sequence[Content]) -> list[Panel]:
    """The dual estimate over the updates of the critic, a panel per true KL, a curve per variant."""
    panels = []
    for kl in sorted({c["parameters"]["kl"] for c in contents}):
        chosen = [c for c in contents if c["parameters"]["kl"] == kl]
        lines = [Line(_variant(c["parameters"], contents), c["result"]["curve"]["update"],
                      shown(c["result"]["curve"]["dual_nats"]), i) for i, c in enumerate(chosen)]
        panels.append(Panel(f"KL {kl:g} nats", UPDATES, "estimate (nats)", lines, {"true KL": kl}))
    return panels


def _variant(parameters: Mapping[str, Any], contents: Sequence[Content]) -> str:
    """What tells an experiment from the others that are shown with it."""
    words = {"latent": "{} dimensions", "critic_lr": "rate {:g}", "seed": "seed {}", "loss": "{} loss"}
    said = [text.format(LOSS_NAMES.get(parameters[name], parameters[name])) for name, text in words.items()
            if len({c["parameters"][name] for c in contents}) > 1]
    return ", ".join(said) or "estimate"


def anatomy(content: Content) -> list[Panel]:
    """One critic's training: the two estimates; E_q f; e^f under the prior; how often a batch reads less than zero."""
    curve, kl = content["result"]["curve"], content["parameters"]["kl"]

    def line(label: str, key: str, style: int) -> Line:
        return Line(label, curve["update"], shown(curve[key]), style)
    return [Panel("Estimate", UPDATES, "nats", [line("dual", "dual_nats", 0), line("Donsker–Varadhan", "dv_nats", 1)],
                  {"true KL": kl}),
            Panel("$E_q f$, the encoder's charge", UPDATES, "nats", [line("E_q f", "f_q_nats", 2)], {"of log q/p": kl}),
            Panel("$e^f$ at draws of the prior", UPDATES, "$e^f$",
                  [line("held out, mean", "mean_exp", 3),
                   Line("batches, largest", curve["update"][1:], curve["batch_max_exp"][1:], 4)], logarithmic=True),
            Panel("Negative batches of 32", UPDATES, "share", [line("share", "negative_share", 5)])]


def tracks_table(contents: Sequence[Content], caption: str, name: str) -> Table:
    """What each critic reads over the second half of its training, in numbers."""
    rows = []
    for c in contents:
        given, curve = c["parameters"], c["result"]["curve"]
        late = range(len(curve["update"]) // 2, len(curve["update"]))
        dual = sorted(curve["dual_nats"][i] for i in late)
        rows.append({"true KL (nats)": _short(given["kl"]), "dimensions": given["latent"],
                     "loss": LOSS_NAMES[given["loss"]],
                     "rate": _short(given["critic_lr"]), "width": given["critic_hidden"],
                     "updates": curve["update"][-1], "seed": given["seed"],
                     "dual estimate, second half | median": nats(dual[len(dual) // 2], c["id"]),
                     "dual estimate, second half | highest": nats(dual[-1]),
                     "dual estimate, second half | lowest": nats(dual[0]),
                     "looks below 0 (share)": sum(v < 0 for v in curve["dual_nats"][1:]) / (len(curve["update"]) - 1),
                     "largest e^f in a batch": nats(max(curve["batch_max_exp"]))})
    pairs = ", ".join(sorted({f"{c['parameters']['held_out']:,}" for c in contents}))
    return Table(rows, caption, [f"Read on {pairs} pairs and as many draws of the prior that the critic never sees, "
                                 "before the first update not counted."], name)


def perfect_panels(contents: Sequence[Content]) -> list[Panel]:
    """f = log q/p on n draws of the prior: the median reading less the truth, how often a reading is negative, and the
    Donsker-Varadhan estimate."""
    excess, negative, other = [], [], []
    for i, c in enumerate(_by_kl(contents)):
        label, found = f"KL {c['parameters']['kl']:g}", c["result"]
        draws = found["draws"]
        excess.append(Line(label, draws, [value - c["parameters"]["kl"] for value in found["dual_median"]], i))
        enough = [j for j, repeats in enumerate(found["repeats"]) if repeats >= REPETITIONS]
        negative.append(Line(label, [draws[j] for j in enough], [100 * found["negative_share"][j] for j in enough], i))
        other.append(Line(label, draws, found["dv_median"], i))
    return [Panel("Dual − true KL", DRAWS, "median (nats)", excess, {"$e^f$ not seen": 1.0, "": 0.0}, logarithmic="x"),
            Panel("Dual below 0", DRAWS, "% of repetitions", negative, logarithmic="x"),
            Panel("Donsker–Varadhan", DRAWS, "median (nats)", other, logarithmic="both")]


def shift_panel(content: Content, draws: int) -> Panel:
    """The dual estimate of log q/p + c: its median from `draws` draws, and its expectation, highest at c = 0."""
    kl, found = content["parameters"]["kl"], content["result"]
    mean_exp = found["mean_exp_median"][found["draws"].index(draws)]
    read = [kl + c + 1 - math.exp(c) * mean_exp for c in SHIFTS]
    expected = [value for value in (kl + c + 1 - math.exp(c) for c in SHIFTS) if value > 0]
    return Panel("", "c (nats)", "dual estimate (nats)",
                 [Line(f"median, {draws:,} draws", SHIFTS, read, 0),
                  Line("expectation", SHIFTS[:len(expected)], expected, 1)], {f"true KL, {kl:g} nats": kl})


def _by_kl(contents: Sequence[Content]) -> list[Content]:
    return sorted(contents, key=lambda c: c["parameters"]["kl"])


def perfect_table(contents: Sequence[Content], draws: int, caption: str, name: str) -> Table:
    """Both estimates of the perfect critic from `draws` draws, and how many draws would do."""
    rows = []
    for c in _by_kl(contents):
        found, kl = c["result"], c["parameters"]["kl"]
        at = found["draws"].index(draws)
        rows.append({"true KL (nats)": _short(kl), "dual | 5 %": found["dual_low"][at],
                     "dual | median": found["dual_median"][at], "dual | 95 %": found["dual_high"][at],
                     "dual | lowest of all": nats(found["dual_least"][at]),
                     "Donsker–Varadhan | median": nats(found["dv_median"][at]),
                     "mean e^f | median": Cell(found["mean_exp_median"][at], f"{found['mean_exp_median'][at]:.1g}"),
                     "draws for an error of 1 nat": _power(draws_needed(kl))})
    repetitions = contents[0]["parameters"]["total"] // draws
    return Table(rows, caption, [f"{repetitions:,} repetitions of {draws:,} draws, in nats; the expectation of e^f is "
                                 "1 for every KL."], name)


def _power(value: float) -> Cell:
    exponent = math.floor(math.log10(value))
    return Cell(value, f"{value / 10 ** exponent:.1f} · 10^{exponent}" if exponent > 3 else f"{value:,.0f}")


def _short(value: float) -> Cell:
    return Cell(value, f"{value:g}")


def circle_table(kls: Sequence[float]) -> Table:
    """The circle loss at its optimum, which is no divergence, and what the dual formula reads from that critic."""
    rows = []
    for kl in kls:
        best = circle_optimum(kl)
        rows.append({"true KL (nats)": _short(kl), "circle loss at its minimum": best.loss, "log k (nats)": best.log_k,
                     "dual reading of that critic (nats)": best.dual, "E_p e^f": Cell(math.exp(best.log_k),
                                                                                    f"{math.exp(best.log_k):.1g}")})
    return Table(rows, "The best critic of the circle loss, log q/p + log k", name="circle-optimum", places=3)


def refit_summary(contents: Sequence[Content], caption: str, name: str) -> Table:
    """One row per run: the run's own critic, the best attempt, what the attempts ended with, and the truth."""
    rows = []
    for c in contents:
        found, run_id = c["result"], c["parameters"]["run_id"]
        best = max(found["attempts"], key=lambda made: made["best"]["dual_nats"])
        exact, value = found["exact_nats"], best["best"]["dual_nats"]
        last = [made["last"]["dual_nats"] for made in found["attempts"] if made["last"]]
        rows.append({"run": Cell(run_id), "its own critic (nats)": nats(found["trained"]["dual_nats"]),
                     "highest of the attempts (nats)": nats(value, best["label"]), "by": best["label"],
                     "lowest after all updates (nats)": nats(min(last, default=None)), "exact (nats)": exact,
                     "highest / exact (%)": 100 * value / exact if exact else None,
                     "log q/p on the same draws (nats)": found["perfect"] and found["perfect"]["dual_nats"]})
    return Table(rows, caption, name=name)


def refit_table(content: Content, caption: str, name: str) -> Table:
    """Attempts to refit a critic on frozen codes, beside the run's own critic, log q/p itself and the truth."""
    found, usual = content["result"], Recipe()
    exact = found["exact_nats"]

    def row(critic: str, at: Mapping[str, float] | None, **more: Any) -> dict[str, Any]:
        dual = at["dual_nats"] if at else None
        return {"critic": critic, **{key: more.get(key) for key in ("rate", "width", "draws per code", "updates")},
                "at its best | dual (nats)": nats(dual), "at its best | DV (nats)": nats(at["dv_nats"] if at else None),
                "at its best | of the exact KL (%)": 100 * dual / exact if exact and dual is not None else None,
                "after the last update | dual (nats)": more.get("last")}
    rows = [row("the run's own", found["trained"])]
    for made, plan in zip(found["attempts"], content["parameters"]["attempts"], strict=True):
        last = Cell(None, f"no number after {made['ended']:,}") if made["ended"] else nats(made["last"]["dual_nats"])
        rate = plan.get("critic_lr", usual.critic_lr)
        rows.append(row(made["label"], made["best"], rate=_short(rate), updates=made["best_update"],
                        last=last, width=plan.get("critic_hidden", usual.critic_hidden),
                        **{"draws per code": plan.get("prior_draws", usual.prior_draws)}))
    if exact is not None:
        rows.append(row("log q/p, closed form", found["perfect"]))
        rows.append({**row("exact KL", None), "at its best | dual (nats)": Cell(exact, strong=True),
                     "at its best | of the exact KL (%)": 100.0})
    return Table(rows, caption, [f"Run {content['parameters']['run_id']}. Taught on codes of the training split, "
                                 "stopped by the validation split (column updates), read on the test split."], name)
