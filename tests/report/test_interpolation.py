"""Interpolated lines on a page: measures of a line, rates with intervals, the papers' sentences beside ours."""

import csv
import io

import numpy as np
import pytest

from ceae_core import experiments
from ceae_core.errors import CeaeError
from ceae_core.execute import obtain
from ceae_core.experiments import interpolation as measured
from ceae_core.measure.interpolation import grid
from ceae_core.measure.smoothness import Course
from ceae_core.report import interpolation, intervals, lines, published, recorded
from ceae_core.report.lines import ALIKE, MIXED, DecodedLine, Lines
from ceae_core.runs import Store
from ceae_core.spec import resolve

WEIGHTS = grid(11)
WORDS = "a b c d e f g h i j".split()
TEXTS = [["z"] * k + WORDS[k:] for k in range(11)]              # one word more is changed at each step


def line(kind=MIXED, texts=TEXTS, **changes):
    """A decoded line whose scores rise from 0 to 1; the originals are its ends."""
    content = {"kind": kind, "first": " ".join(texts[-1]), "second": " ".join(texts[0]),
               "sentences": [" ".join(text) for text in texts],
               "course": vars(Course.of(texts, (texts[0], texts[-1]))),
               "norms": [1.0] * 11, "nats": [11.0] * 11, "words": [11] * 11,
               "scores": {"code": WEIGHTS.tolist(), "text": WEIGHTS.tolist(), "truth": WEIGHTS.tolist(),
                          "code_sources": [1.0, 0.0], "text_sources": [1.0, 0.0], "truth_sources": [1.0, 0.0]}}
    content["scores"] |= changes.pop("scores", {})
    return content | changes


def made(contents, name="ceae", critic="oracle", corpus="oracle"):
    return Lines(name, name, corpus, {"id": f"interpolation-{name}", "result": {
        "weights": WEIGHTS.tolist(), "lines": contents, "prior_norm": 5.62,
        "critic": {"name": critic, "settings": {}}}})


@pytest.fixture
def found():
    """Two mixed lines, one of each other kind."""
    return made([line(), line(scores={"text": [0.9] * 11}), *(line(kind) for kind in ALIKE)])


def decoded(**content):
    return DecodedLine(line(**content), WEIGHTS)


# one line ------------------------------------------------------------------------------------------------------------

def test_points_are_found_by_their_weight():
    assert decoded().places() == [8, 2] and decoded().places((0.5,)) == [5]
    assert decoded().scores_at("text") == pytest.approx([0.8, 0.2])
    assert decoded().score("nobody") == [None] * 11 and decoded().source_scores("nobody") == []


def test_nats_per_word_at_the_ends_and_between():
    one = decoded(nats=[10.0, *[30.0] * 9, 50.0], words=[10, *[5] * 4, *[10] * 5, 20])
    assert one.nats_per_word(inside=False) == 2.0
    assert one.nats_per_word(inside=True) == pytest.approx(9 * 30 / 70)


def test_grammatical_points_are_those_with_a_true_score():
    one = decoded(scores={"truth": [None, 0.5, *[None] * 8, 0.5]})
    assert one.grammatical(inside=False) == 0.5 and one.grammatical(inside=True) == pytest.approx(1 / 9)
    without = decoded()
    del without.content["scores"]["truth"]
    assert without.grammatical(True) is None


def test_norm_at_the_middle_is_relative_to_both_ends():
    norms = [4.0, *np.linspace(4.0, 2.0, 5)[1:], 2.5, *np.linspace(2.0, 6.0, 5)]
    assert decoded(norms=norms).norm_at_middle() == pytest.approx(2.5 / 5.0)


def test_content_of_the_two_points_of_the_first_paper():
    assert decoded().new_sentences() == 1.0 and decoded().nearer_to_heavier() == 1.0
    turned = decoded(texts=[TEXTS[0], *TEXTS[9:0:-1], TEXTS[10]])
    assert turned.nearer_to_heavier() == 0.0 and turned.new_sentences() == 1.0
    assert decoded(texts=[TEXTS[0]] * 5 + [TEXTS[10]] * 6).new_sentences() == 0.0


@pytest.mark.parametrize("scores, near", [([0.5] * 11, 1.0), ([0.9] * 11, 0.0), ([*[0.69] * 5, *[0.71] * 6], 0.5),
                                          ([*[0.31] * 5, *[0.29] * 6], 0.5), ([*[None] * 5, *[0.5] * 6], 1.0),
                                          ([None] * 11, None)])
def test_first_check(scores, near):
    assert lines.neutral("text")(decoded(scores={"text": scores})) == near


@pytest.mark.parametrize("kind, level, share", [(ALIKE[0], 0.4, 1.0), (ALIKE[0], 0.6, 0.0), (ALIKE[1], 0.4, 0.0),
                                                (ALIKE[1], 0.6, 1.0)])
def test_second_check(kind, level, share):
    assert lines.of_its_kind("text")(decoded(kind=kind, scores={"text": [level] * 11})) == share


def test_third_check_takes_the_points_that_both_scored():
    assert lines.agreeing("code", "text")(decoded()) == 1.0
    assert lines.agreeing("code", "text")(decoded(scores={"text": WEIGHTS[::-1].tolist()})) == 0.0
    assert lines.agreeing("code", "text")(decoded(scores={"text": [*[0.4] * 5, *[None] * 6]})) == 1.0
    assert lines.agreeing("code", "text")(decoded(scores={"text": [None] * 11})) is None


def test_accuracy_on_the_originals_goes_by_the_kind_of_the_pair():
    assert lines.right_sources("text")(decoded()) == 1.0
    assert lines.right_sources("text")(decoded(scores={"text_sources": [0.1, 0.1]})) == 0.5
    assert lines.right_sources("text")(decoded(kind=ALIKE[0], scores={"text_sources": [0.1, 0.1]})) == 1.0
    assert lines.right_sources("truth")(decoded(scores={"truth_sources": [None, 0.1]})) == 1.0
    assert lines.right_sources("nobody")(decoded()) is None
    assert lines.neutral_sources("text")(decoded(scores={"text_sources": [0.6, 0.1]})) == 0.5


def test_course_of_a_score():
    assert lines.course("text")(decoded()) == 1.0 and lines.rising("text")(decoded()) == 1.0
    falls = decoded(scores={"text": WEIGHTS[::-1].tolist()})
    assert lines.course("text")(falls) == -1.0 and lines.rising("text")(falls) == 0.0
    unknown = decoded(scores={"text": [None, *[0.5] * 10]})
    assert lines.course("text")(unknown) is None and lines.rising("text")(unknown) is None


# means over lines ----------------------------------------------------------------------------------------------------

def test_kinds_of_lines(found):
    assert [len(found.of(kind)) for kind in (MIXED, *ALIKE)] == [2, 1, 1] and found.is_labelled
    assert found.mean(lines.rising("text"), MIXED).value == 0.5
    assert found.mean(lines.neutral("text")).of == 4
    assert not made([line("any", scores={})]).is_labelled


def test_tables_have_a_row_for_each_family_and_intervals(found):
    other = made([line("any") | {"scores": {}}], "ae", "ngram")
    table = interpolation.table([found, other], interpolation.smooth_columns(), "c", "n")
    assert [row["family"] for row in table.rows] == ["ceae", "ae"]
    assert table.rows[0]["steps | way gone, over distance"].value == 1.0
    assert table.rows[0]["steps | largest, over distance"].value == pytest.approx(0.1)
    assert table.rows[0]["line | different sentences"].value == 11
    assert "90% bootstrap interval" in table.notes[-1]
    checks = interpolation.table([found, other], interpolation.neutral_columns(), "c", "n")
    assert checks.rows[1]["neutral (share) | text"].value is None


def test_fluency_has_grammaticality_only_with_a_grammar(found):
    headers = interpolation.fluency_columns([found])
    assert "grammatical (share) | between" in headers and "oracle critic (nats per word) | ends" in headers
    other = made([line("any") | {"scores": {}}], critic="ngram")
    assert list(interpolation.fluency_columns([other])) == [
        f"ngram critic (nats per word) | {part}" for part in ("ends", "between", "difference")]


def test_every_mean_can_be_downloaded(found):
    columns = interpolation.every_column([found])
    rows = list(csv.DictReader(io.StringIO(interpolation.data([found], columns, "n").table.csv())))
    assert len(rows) == len(columns)
    row = next(row for row in rows if row["measure"] == "rises all the way (share): text")
    assert (row["family"], row["mean"], row["lines"], row["experiment"]) == ("ceae", "0.5", "2", "interpolation-ceae")
    assert float(row["low"]) <= 0.5 <= float(row["high"])


def test_published_checks_have_exact_intervals():
    """Of two mixed sentences 0.44 is neutral and 0.78 is not; all four others are on the side of their pair."""
    row = interpolation.printed_checks()
    neutral, alike = row["neutral (share) | code"], row["of the kind of its pair (share) | code"]
    assert neutral.value == 0.5 and neutral.title.startswith("1 of 2")
    assert alike.value == 1.0 and alike.title.startswith("4 of 4")
    low = (0.5 - intervals.LEVEL / 2) ** (1 / 4)                # p^4 = 5 %
    assert alike.text == f"1.00 [{low:.2f},\u00a01.00]"


def test_originals_as_a_yardstick(found):
    row = interpolation.source_checks(found)
    assert row["neutral (share) | text"].value == 0.0 and row["of the kind of its pair (share) | truth"].value == 0.5


# curves --------------------------------------------------------------------------------------------------------------

def test_curves_are_means_at_each_point_with_bands(found):
    fluency, words, score, norm = interpolation.along([found])
    assert "oracle critic" in fluency.title and fluency.lines[0].y == [1.0] * 11
    np.testing.assert_allclose(words.lines[0].y, WEIGHTS)
    np.testing.assert_allclose(score.lines[0].y, (WEIGHTS + 0.9) / 2)          # mixed pairs alone
    assert norm.lines[0].y == [1.0] * 11 and list(norm.lines[0].x) == WEIGHTS.tolist()
    low, high = score.lines[0].spread
    assert all(a <= y <= b for a, y, b in zip(low, score.lines[0].y, high, strict=True)) and low[0] < high[0]


def test_no_curve_where_there_is_no_way_and_no_panel_where_there_is_no_label():
    still = made([line("any", texts=[WORDS] * 11)])
    fluency, words, norm = interpolation.along([still])
    assert words.lines == [] and len(fluency.lines) == len(norm.lines) == 1


def test_norms(found):
    row, = interpolation.norms([found], "c", "n").rows
    assert (row["ends"].value, row["middle"].value, row["drawn from the prior"]) == (1.0, 1.0, 5.62)


# beside the papers ---------------------------------------------------------------------------------------------------

def test_first_paper_beside_the_first_pair_of_each_kind(found):
    table = interpolation.beside_first(found, "c", "n")
    frame = published.sentences("ceae")
    assert [row["published | sentence"].value for row in table.rows] == frame["text"].tolist()
    assert [row["published | score"] for row in table.rows] == frame["score"].tolist()
    source, inner, other, last = table.rows[-4:]
    assert source["ceae | sentence"].value == " ".join(TEXTS[-1]) and source["ceae | score of the code"] == 1.0
    assert last["ceae | sentence"].value == " ".join(TEXTS[0]) and last["ceae | score of the text"] == 0.0
    assert inner["weight on the first"] == 0.8 and inner["ceae | sentence"].value == " ".join(TEXTS[8])
    assert other["ceae | score of the text"] == pytest.approx(0.2)
    assert source["ceae | sentence"].strong and not inner["ceae | sentence"].strong


def test_no_pairs_by_sentiment_to_show():
    with pytest.raises(CeaeError, match="ceae has no pairs by sentiment"):
        interpolation.beside_first(made([line("any")]), "c", "n")


def test_second_paper_beside_a_line(found):
    table = interpolation.beside_second([found], 0, "c", "n")
    assert [row["published | PTB"] for row in table.rows] == published.sentences("clvm")["text"].tolist()
    assert [row[f"{MIXED} | ceae"].value for row in table.rows] == [" ".join(text) for text in TEXTS]
    assert "“z z" in table.notes[0] and table.notes[0].endswith(f"“{' '.join(WORDS)}”.")
    hidden = made([line("any", first=None, second=None, texts=[["w"] * 100, [], *TEXTS[2:]])])
    table = interpolation.beside_second([hidden], 0, "c", "n")
    assert "not part of this project" in table.notes[0]
    long, empty = (table.rows[i]["two sentences | ceae"] for i in (0, 1))
    assert long.text == " ".join(["w"] * 30) + " … (100 words)" and len(long.value.split()) == 100
    assert empty.text == "(empty)"


def test_a_family_by_name(found):
    assert interpolation.named([found], "ceae") is found
    with pytest.raises(CeaeError, match="there is no 'vae'; choose from ceae"):
        interpolation.named([found], "vae")


# from runs and records -----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def run(store):
    return obtain(resolve("ceae", scale="smoke", set={"epochs": 1, "iw_samples": 2, "iw_sentences": 2}), store)


def test_lines_of_runs(run, store):
    each, = lines.of([run], store, pairs=2, steps=3)
    assert (each.name, each.family, each.corpus) == ("ceae", "ceae", "oracle")
    assert (len(each.lines), len(each.weights)) == (6, 3)
    table = interpolation.table([each], interpolation.every_column([each]), "c", "n")
    assert all(cell.value is None or np.isfinite(cell.value) for cell in list(table.rows[0].values())[1:])
    assert lines.by_name([run]) == {"ceae": run}
    twin = obtain(resolve("ceae", scale="smoke", seed=2, set={"epochs": 1, "iw_samples": 2, "iw_sentences": 2}), store)
    with pytest.raises(CeaeError, match="one seed at a time"):
        lines.by_name([run, twin])


def test_recorded_lines_are_named_by_their_run(run, store, tmp_path, monkeypatch):
    results = tmp_path / "results"
    monkeypatch.setattr(lines, "load_recorded", lambda corpus: [
        lines.Result.of_record(content) for content in recorded.load(corpus, results=results)])
    monkeypatch.setattr(lines.records, "corpora", lambda: ["oracle"])
    read = experiments.recorded
    monkeypatch.setattr(experiments, "recorded", lambda name: read(name, results / "experiments"))
    content = measured.obtain(run, store=store, pairs=2, steps=3)
    measured.record(content, results / "experiments")
    assert lines.recorded() == []                               # of a run that is not recorded nobody knows what it is
    recorded.record(run, results)
    each, = lines.recorded()
    assert (each.name, each.id) == ("ceae, oracle at smoke", content["id"])


def test_what_is_recorded_holds_no_sentence_of_another_corpus():
    for content in experiments.recorded(measured.NAME):
        if content["parameters"]["critic"] != "oracle":
            assert all(each["first"] is None and each["second"] is None for each in content["result"]["lines"])
    assert {each.corpus for each in lines.recorded()} >= {"ptb"}
