"""One likelihood axis: which number a paper would report, what is a bound, and what is left of an order."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from ceae_core import zoo
from ceae_core.corpora import oracle
from ceae_core.report import axis, published, truth
from ceae_core.report.figures import curves
from ceae_core.report.truth import Floor

FLOOR = Floor(test=9.0, first=8.0, valid=0.0)
BOUND = {"nll_iw_se": 0.4, "iw_ess": 12.5, "iw_proposal": "N(0.7 mu, 0.8^2 I), more"}


@pytest.fixture
def some(result):
    """One run of each kind, their bounds 14, 13, 12 and 11 nats."""
    return [result("ae", kl_nats=None, nelbo_nats_per_sentence=None, ppl_word=None, nll_iw_nats=14.0, **BOUND),
            result("ivae-mi", nll_iw_nats=13.0, **BOUND), result("vae", nll_iw_nats=12.0, **BOUND),
            result("lstm-lm", kl_nats=None, nll_iw_nats=11.0, **BOUND | {"iw_ess": None})]


def test_every_family_has_a_formula_and_only_closed_forms_are_bounds():
    kinds = {name: axis.formula(name) for name in zoo.FAMILIES}
    assert kinds["lstm-lm"] == axis.EXACT
    assert {kinds[name] for name in ("vae", "bn-vae", "sa-vae", "vmf-vae", "delta-vae")} == {axis.CLOSED}
    assert {kinds[name] for name in ("ivae", "cvae+-mi")} == {axis.CRITICS}
    assert {kinds[name] for name in ("ae", "ceae", "wae-mmd", "rae")} == {axis.NOTHING}
    assert [how.is_bound for how in (axis.EXACT, axis.CLOSED, axis.CRITICS, axis.NOTHING)] == [True, True, False, False]


def test_the_formula_takes_the_kl_that_the_paper_has(some):
    ae, ivae, vae, lm = map(axis.by_formula, some)
    assert vae == (12.0, 3.0) and lm == (12.0, 3.0)             # −ELBO; the fixture gives both the same
    assert ivae == (10.5, 2.2)                                  # Rec plus the critics' KL, not the exact one
    assert ae == (10.0, pytest.approx(math.exp(10.0 / 9.5)))    # Rec per token, the end symbol counted


def test_a_diverged_run_has_no_number(result):
    assert axis.by_formula(result("vae", status="diverged")) is None


def test_the_table_is_sorted_by_the_bound_and_begins_with_the_truth(some):
    table = axis.table(some, FLOOR, "c", "n")
    rows = {getattr(row["family"], "value", row["family"]): row for row in table.rows}
    assert list(rows) == ["truth", "lstm-lm", "vae", "ivae-mi", "ae"]
    assert [rows[name]["by the formula | a bound"] for name in rows] == ["yes", "yes", "yes", "no", "no"]
    assert rows["ivae-mi"]["by the formula | PPL"].value == 2.2 and rows["ivae-mi"]["by the formula | KL"] == "critics"
    assert rows["ivae-mi"]["by the formula | PPL"].title == "not a bound"
    assert rows["vae"]["valid bound | nats"].value == 12.0 and rows["vae"]["valid bound | standard error"].value == 0.4
    assert rows["vae"]["valid bound | above the truth (nats)"] == 4.0
    proposal = rows["ae"]["valid bound | proposal"]
    assert (proposal.value, proposal.title) == ("N(0.7 mu, 0.8^2 I)", "N(0.7 mu, 0.8^2 I), more")
    assert rows["vae"]["valid bound | effective codes"] == 12.5
    assert rows["lstm-lm"]["valid bound | effective codes"] is None


def test_the_truth_has_the_perplexity_of_its_own_sentences(some):
    """All test sentences for the formula, the first ones for the bound; their lengths follow from the runs."""
    truth = axis.table(some, FLOOR, "c", "n").rows[0]
    assert truth["by the formula | PPL"] == pytest.approx(math.exp(9.0 / 9.5))
    assert truth["valid bound | PPL"] == pytest.approx(math.exp(8.0 / (14.0 / math.log(2.5))))
    assert truth["valid bound | above the truth (nats)"] == 0.0
    assert set(truth) == set(axis.table(some, FLOOR, "c", "n").rows[1])


def test_without_a_known_truth_there_is_no_distance(some):
    table = axis.table(some, None, "c", "n")
    assert len(table.rows) == 4 and not any("truth" in column for column in table.columns)
    assert axis.dots(some, None)["valid bound"]["vae"] == [12.0]


@pytest.mark.parametrize(("whole", "short"), [
    ("own posterior", "own posterior"), ("none: exact", "none: exact"), ("N(0.7 mu, 0.8^2 I)", "N(0.7 mu, 0.8^2 I)"),
    ("N(A mu + c, C), diag A 0.1 to 0.5, sd 0.2 to 0.3, where the prior's", "N(A mu + c, C)"),
    ("N(a mu + c, diag s^2), a 0 to 1, then 20 steps per sentence", "N(a mu + c, diag s^2), refined")])
def test_a_proposal_is_named_without_its_numbers(result, whole: str, short: str):
    run = result("vae", **BOUND | {"iw_proposal": whole})
    assert axis.table([run], None, "c", "n").rows[0]["valid bound | proposal"].value == short


def test_old_recorded_runs_have_no_effective_codes(result):
    old = result("vae", nll_iw_se=0.1, iw_proposal="own posterior")
    assert axis.table([old], None, "c", "n").rows[0]["valid bound | effective codes"] is None


def test_seeds_are_averaged_and_a_lost_one_is_counted(result):
    runs = [result("vae", 1, nll_iw_nats=12.0, **BOUND), result("vae", 2, nll_iw_nats=14.0, **BOUND),
            result("vae", 3, status="diverged")]
    row = axis.table(runs, FLOOR, "c", "n").rows[1]
    assert row["valid bound | nats"].text == "13.00 ± 1.41 (2/3)" and row["valid bound | above the truth (nats)"] == 5.0
    lost = axis.table([result("vae", status="diverged"), result("ae", **BOUND)], None, "c", "n").rows[1]
    assert lost["family"] == "vae" and lost["by the formula | PPL"].text == "diverged"


def test_dots_are_distances_to_the_truth_of_the_same_sentences(some):
    found = axis.dots(some, FLOOR)
    assert found["valid bound"] == {"lstm-lm": [3.0], "vae": [4.0], "ivae-mi": [5.0], "ae": [6.0]}
    assert found["by the formula, a bound"] == {"lstm-lm": [3.0], "vae": [3.0], "ivae-mi": [], "ae": []}
    assert found["by the formula, no bound"] == {"lstm-lm": [], "vae": [], "ivae-mi": [1.5], "ae": [1.0]}
    assert axis.picture(some, FLOOR).figure.axes[0].get_xlabel().endswith("same sentences")


def test_specs_have_every_family_and_every_row_of_both_tables_once():
    specs = axis.specs("oracle", "smoke", [1, 2])
    assert {spec.family for spec in specs} == set(zoo.FAMILIES) and len({spec.id for spec in specs}) == len(specs)
    assert {spec.seed for spec in specs} == {1, 2}
    assert {spec.settings.stack for spec in specs if spec.family == "vae"} == {"bn", "ivae"}


def test_of_recorded_runs_only_rows_count_and_of_those_the_largest_scale(result, row_of):
    small, large = result("vae", size="laptop"), result("vae", size="paper")
    paper_b = row_of("clvm:1:VAE:", size="laptop")
    variant = result("cvae", size="laptop", settings={"encoder_dropout": 0.7})
    swapped = result("cvae", size="laptop", options={"augment": "swap"})
    assert axis.of_rows([small, variant, large, paper_b, swapped]) == [large, paper_b]
    assert axis.of_rows([small, result("vae", 2, size="laptop")])[0] == small


def built(row_of, numbers):
    """Runs of paper B's rows: row -> (Rec plus the paper's KL, bound)."""
    runs = []
    for row, (reported, bound) in numbers.items():
        run = row_of(row, nll_iw_nats=bound, **BOUND)
        run.metrics[axis.formula(run.family).nats] = reported
        runs.append(run)
    return runs


def test_survival_compares_orders(row_of):
    numbers = {"clvm:1:VAE:": (100.0, 1.0), "clvm:1:iVAE:": (50.0, 2.0), "clvm:1:cVAE+_MI:": (40.0, 3.0)}
    runs = built(row_of, numbers)
    reported, valid = axis.columns("clvm", runs)
    assert reported == {row: values[0] for row, values in numbers.items()}
    assert valid == {row: values[1] for row, values in numbers.items()}
    table = axis.survival({"these": runs, "none": []})
    rows = [row for row in table.rows if row["paper"] == "CLVM paper"]
    assert [(row["order"], row["against"], row["Kendall's tau"]) for row in rows] == [
        ("printed PPL, PTB", "paper's measure", 1.0), ("printed PPL, PTB", "valid bound", -1.0),
        ("paper's measure", "valid bound", -1.0)]
    assert rows[1]["pairs the other way"].text == "3 of 3" and rows[0]["pairs the other way"].value == 0
    assert rows[1]["the first of the one"] == published.title("clvm:1:cVAE+_MI:")
    assert rows[1]["its place in the other"].text == "3 of 3" and rows[0]["its place in the other"].text == "1 of 3"
    assert {row["our runs"] for row in table.rows} == {"these"}


def test_survival_leaves_out_what_has_too_few_rows(row_of):
    assert axis.survival({"two": built(row_of, {"clvm:1:VAE:": (1.0, 2.0), "clvm:1:iVAE:": (2.0, 1.0)})}).rows == []


def test_the_first_papers_measure_is_rec(row_of):
    run = row_of("ceae:1:VAE:", rec_nats_per_sentence=7.5, **BOUND)
    assert axis.columns("ceae", [run])[0] == {"ceae:1:VAE:": 7.5}


def experiment(best: str = "linear"):
    each = {"ess": 3.0, "se": [0.5, 0.25], "describe": "with numbers"}
    return {"parameters": {"samples": [1, 10], "sentences": 50, "run_id": "vae-oracle-quick-s1-0"},
            "result": {"best": best, "proposals": {"prior": {**each, "nats": [30.0, 25.0]},
                                                   "linear": {**each, "nats": [22.0, 21.0]},
                                                   "own": {**each, "nats": [24.0, 22.0]}}}}


def test_tightening_panels_show_distances_in_one_order():
    panel, = axis.tightening({"vae": experiment()}, 20.0)
    assert [(line.label, list(line.y)) for line in panel.lines] == [
        ("own posterior", [4.0, 2.0]), ("prior", [10.0, 5.0]), ("linear, fitted", [2.0, 1.0])]
    assert list(panel.lines[0].x) == [1, 10] and panel.y == "nats above the truth"
    other, = axis.tightening({"vae": experiment()}, None)
    assert list(other.lines[0].y) == [24.0, 22.0] and "bound" in other.y
    assert curves([panel, other])._repr_png_()


def test_the_tightening_table_marks_what_was_chosen():
    table = axis.tightening_table({"vae": experiment()}, 20.0, "n")
    assert [(row["proposal"].value, row["proposal"].strong) for row in table.rows] == [
        ("own posterior", False), ("prior", False), ("linear, fitted", True)]
    assert table.rows[2]["bound (nats) | S = 10"] == 21.0
    assert table.rows[2]["bound (nats) | standard error, S = 10"] == 0.25
    assert "first 50 test sentences" in table.caption and "20.00 nats" in table.caption
    assert "truth" not in axis.tightening_table({"vae": experiment()}, None, "n").caption


def test_the_truth_of_the_first_sentences():
    sentences = oracle.default().sample(12, 5).sentences
    corpus = SimpleNamespace(splits={"test": SimpleNamespace(sentences=sentences)})
    spec = SimpleNamespace(corpus="oracle", load_corpus=lambda: corpus)
    assert axis.truth_of(spec, 5) == pytest.approx(np.mean([-oracle.default().log_prob(s) for s in sentences[:5]]))
    spec.corpus = "ptb"
    assert axis.truth_of(spec, 5) is None


def test_the_language_model_takes_the_place_of_an_unknown_truth(some):
    """The same sentences for both numbers; it is in the table as itself, not a second time."""
    origin = truth.language_model(some)
    assert (origin.test, origin.first, origin.name) == (12.0, 11.0, "language model")
    table = axis.table(some, origin, "c", "n")
    above = {row["family"]: row["valid bound | above the language model (nats)"] for row in table.rows}
    assert above == {"lstm-lm": 0.0, "vae": 1.0, "ivae-mi": 2.0, "ae": 3.0}
    assert axis.dots(some, origin)["by the formula, a bound"]["lstm-lm"] == [0.0]
    assert "language model's" in axis.picture(some, origin).figure.axes[0].get_xlabel()


def test_without_a_complete_language_model_there_is_no_such_origin(some, result):
    assert truth.language_model([*some[:3], result("lstm-lm", status="diverged")]) is None
