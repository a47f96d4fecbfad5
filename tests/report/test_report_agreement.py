"""Agreement on a page and in the verdicts: from invented studies with known coefficients, and the recorded ones."""

import numpy as np
import pytest

from ceae_core import experiments
from ceae_core.measure.agreement import Agreement
from ceae_core.measure.sentence_vectors import LAST, Reading
from ceae_core.report import agreement, published, reproduction
from ceae_core.report.agreement import Judged, beside, board, copula, data, of_row, places, recorded
from ceae_core.report.reproduction.correlations import first
from ceae_core.report.reproduction.outcome import PARTLY, REPRODUCED, Records
from ceae_core.spec import resolve

NOISE = np.random.default_rng(0).standard_normal(400)


def judged(name, value, place="oracle at quick", family=None, seed=1, width=0.01, shared=True):
    """Coefficients value, value - 0.01 and 2/3 of the latter; draws around them, by default the same noise for all."""
    noise = NOISE if shared else np.random.default_rng(abs(hash(name)) % 2 ** 32).standard_normal(400)
    values = {"pearson": value, "spearman": value - 0.01, "kendall": (value - 0.01) / 1.5}
    made = Agreement(values, {key: each + width * noise for key, each in values.items()}, 1000)
    corpus, scale = place.split(" at ")
    content = {"id": f"agreement-{name}-{seed}-{corpus}", "parameters": {"of": f"{name}-run"},
               "result": made.plain() | {"corpus": corpus, "scale": scale}}
    return Judged(name, place, content, family or (name if name in agreement.ROWS else None), seed)


@pytest.fixture
def three():
    return [judged("ceae", 0.5), judged("bn-vae", 0.4), judged("vae", 0.3)]


def test_cells_have_value_interval_and_run() -> None:
    cell = judged("ceae", -0.2, width=0.05).cell("pearson")
    low, high = np.quantile(-0.2 + 0.05 * NOISE, [0.05, 0.95])
    assert cell.value == pytest.approx(-0.2) and cell.title == "ceae-run"
    assert cell.text == f"−0.20 [−{abs(low):.2f},\u00a0−{abs(high):.2f}]"


def test_published_beside_ours(three) -> None:
    yelp = [judged(each.name, 0.2, "shen-yelp-devtest at quick", each.family) for each in three[:2]]
    table = beside([*three, *yelp, judged(agreement.YARDSTICK, 0.6)], "caption", "name")
    rows = {(row["published | corpus"] if isinstance(row["published | corpus"], str) else None,
             row["published | coefficient"]): row for row in table.rows}
    assert len(table.rows) == 9
    cell = published.cell("ceae:9:CEAE:", "Yahoo", "kendall_corr_with_bert_inner_products")
    assert rows["Yahoo", "Kendall"]["published | CEAE"].value == cell.value
    assert rows["Yahoo", "Kendall"]["ours | corpus and scale"].text == "not recorded"
    assert rows["Yelp", "Pearson"]["published | BN-VAE"].value == 0.45
    assert rows["Yelp", "Pearson"]["ours | CEAE"].value == pytest.approx(0.2)
    assert rows["Yelp", "Pearson"]["ours | VAE"].text == "not recorded"
    assert rows[None, "Spearman"]["ours | VAE"].value == pytest.approx(0.29)
    assert rows[None, "Spearman"][f"ours | {agreement.YARDSTICK}"].value == pytest.approx(0.59)
    assert rows[None, "Spearman"]["ours | corpus and scale"] == "oracle at quick"
    assert "0.86" in table._repr_html_()


def test_places_have_ceae_and_another_row_and_reviews_come_first(three) -> None:
    more = [judged("ceae", 0.1, "ptb at laptop"), judged("ae", 0.1, "ptb at laptop", "ae"),
            judged("ceae", 0.1, "yahoo-10k at quick"), judged("vae", 0.1, "yahoo-10k at quick")]
    assert places([*three, *more]) == ["yahoo-10k at quick", "oracle at quick"]


def test_the_plainest_run_with_the_first_seed_is_a_row() -> None:
    some = [judged("vae (stack ivae)", 0.1, family="vae"), judged("vae", 0.2, seed=2), judged("vae", 0.3)]
    assert of_row(some, "vae", "oracle at quick") is some[2]
    assert of_row(some, "ceae", "oracle at quick") is None


def test_differences_rest_on_the_same_resamples(three) -> None:
    table = board([*three, judged("words", 0.6, shared=False)], three[0], "caption", "name")
    gaps = [row["ceae above it, Spearman"] for row in table.rows]
    assert gaps[0].value is None and gaps[1].text == "+0.10 [+0.10,\u00a0+0.10]"
    assert gaps[3].value == pytest.approx(-0.1) and gaps[3].text != "−0.10 [−0.10,\u00a0−0.10]"


def test_printed_kendalls_are_far_from_those_of_normal_ranks_and_ours_near(three) -> None:
    rows = copula(three, "caption", "name").rows
    printed, ours = rows[:6], rows[6:]
    assert all(row["Kendall"] > row["normal ranks | Kendall for that Spearman"] + 0.1 for row in printed)
    assert len(ours) == 3 and ours[0]["Spearman"] == pytest.approx(0.49)
    assert ours[0]["normal ranks | Kendall for that Spearman"] == pytest.approx(
        2 / np.pi * np.arcsin(2 * np.sin(np.pi * 0.49 / 6)))


def test_data_has_every_coefficient(three) -> None:
    rows = data(three, "name").rows
    assert len(rows) == 9 and rows[1]["coefficient"] == "spearman" and rows[1]["value"] == pytest.approx(0.49)
    assert rows[1]["low"] < rows[1]["value"] < rows[1]["high"] and rows[1]["seed"] == 1


def test_the_figure_draws_every_judge_once_and_further_seeds_as_points(three) -> None:
    figure = agreement.intervals([*three, judged("ceae", 0.45, seed=2), judged("words", 0.6)]).figure
    assert len(figure.axes) == 3
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ceae", "bn-vae", "vae", "words"]
    points = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert sorted(float(line.get_xdata()[0]) for line in points) == pytest.approx([0.3, 0.4, 0.45, 0.5, 0.6])


def test_names_are_those_of_results_also_without_a_run() -> None:
    assert agreement._name(resolve("bn-vae", scale="smoke", set={"gamma": 0.6})) == "bn-vae (0.6)"
    assert [agreement._said(how) for how in (Reading(0), Reading(LAST, "cls"))] == [
        "word embeddings, mean", "last layer, cls"]


def test_recorded_agreements_belong_to_recorded_runs_by_the_usual_reading() -> None:
    found = recorded()
    assert {each.place for each in found} >= {"oracle at quick", "ptb at laptop", "shen-yelp-devtest at quick"}
    names = {each.name for each in found if each.place == "oracle at quick"}
    assert {"ceae", "bn-vae (0.7)", "vae", *agreement.BASELINES.values()} <= names
    for each in found:
        asked = each.content["parameters"]
        assert asked["layer"] == "last" and asked["encoder_similarity"] == "inner" and each.agreement.sentences == 1000
        assert asked.get("similarity", "inner") == "inner"
    ids = {content["id"] for content in experiments.recorded(agreement.NAME)}
    assert {each.id for each in found} < ids


# verdicts ------------------------------------------------------------------------------------------------------------

def outcome(label, found):
    item = next(item for item in reproduction.ITEMS if (item.paper, item.label) == ("ceae", label))
    return reproduction.report(Records(agreements=found), [item]).rows[0]


@pytest.mark.parametrize("values, holds", [
    ((0.5, 0.4, 0.3), True), ((0.5, 0.6, 0.3), False), ((0.5, 0.505, 0.3), None), ((0.5, 0.495, 0.3), None)])
def test_ceae_is_first_where_it_is_clearly_above_all_others(values, holds) -> None:
    found = [judged(name, value, shared=False, width=0.02)
             for name, value in zip(agreement.ROWS, values, strict=True)]
    assert first(found, "oracle at quick", "pearson")[0] is holds


def test_one_row_alone_can_refute_but_not_support() -> None:
    ceae = judged("ceae", 0.5)
    assert first([ceae, judged("vae", 0.3)], "oracle at quick", "pearson")[0] is None
    holds, text = first([ceae, judged("vae", 0.6)], "oracle at quick", "pearson")
    assert holds is False and text == "CEAE − vae: −0.10 [−0.10, −0.10]"
    assert first([ceae], "oracle at quick", "pearson") is None


def test_with_several_seeds_the_seeds_decide() -> None:
    """The sentences say that each seed differs; that the seeds differ as much only their spread tells."""
    def seeds(name, *values):
        return [judged(name, value, seed=i + 1) for i, value in enumerate(values)]
    apart = [*seeds("ceae", 0.50, 0.52, 0.51), *seeds("bn-vae", 0.40, 0.42, 0.41), *seeds("vae", 0.1, 0.12, 0.11)]
    assert first(apart, "oracle at quick", "kendall")[0] is True
    mixed = [*seeds("ceae", 0.50, 0.30, 0.40), *seeds("bn-vae", 0.40, 0.29, 0.41), *seeds("vae", 0.1, 0.12, 0.11)]
    holds, text = first(mixed, "oracle at quick", "kendall")
    assert holds is None and "3 and 3 seeds, p = " in text


def test_the_tables_verdicts(three) -> None:
    row = outcome("Table 9", three)
    assert row.verdict == PARTLY and [check.holds for check in row.outcome.checks] == [True, True, True, False]
    assert "0 of 3" in row.outcome.checks[3].shown and len(row.ids) == 3
    assert "3 of 3 columns" in row.outcome.lesson and "oracle at quick: ceae 0.49" in row.outcome.ours
    nothing = outcome("Table 10", [])
    assert nothing.verdict == "not run yet" and "2 of 3 columns" in nothing.outcome.lesson
    for each, tau in zip(three, (0.9, 0.8, 0.7), strict=True):
        each.agreement.values["kendall"] = tau
    assert outcome("Table 9", three).outcome.checks[3].holds is True
    assert outcome("Table 9", three).verdict == REPRODUCED


def test_recorded_agreements_reach_the_report() -> None:
    rows = {row.item.label: row for row in reproduction.report().rows if row.item.paper == "ceae"}
    for label in ("Table 9", "Table 10"):
        assert rows[label].verdict == PARTLY and rows[label].item.chapter == "representations"
        assert rows[label].outcome.checks[3].holds is False
