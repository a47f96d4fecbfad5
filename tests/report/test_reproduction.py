"""The reproduction report: nothing is left out, no verdict without its rule, and tampering is seen."""

import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest

from ceae_core.book.layout import here
from ceae_core.report import clusters, published, recorded, reproduction
from ceae_core.report.ptb import Claim
from ceae_core.report.reproduction import language, outcome, pictures
from ceae_core.report.reproduction.outcome import Check, Outcome, Records, verdict
from ceae_core.report.seeds import OURS

BY = {(item.paper, item.label): item for item in reproduction.ITEMS}
PAPERS = Path(os.environ.get("CEAE_PAPERS") or "/nonexistent")


# completeness --------------------------------------------------------------------------------------------------------

def test_every_table_and_figure_is_claimed_once():
    listed = [(item.paper, item.label) for item in reproduction.ITEMS]
    assert len(listed) == len(set(listed))
    expected = {("ceae", "Figure 1"), *(("ceae", f"Table {n}") for n in range(1, 14)),
                *(("clvm", f"Figure {n}") for n in range(1, 5)), *(("clvm", f"Table {n}") for n in range(1, 8))}
    assert set(listed) == expected
    for paper, number in published.tables():
        assert (paper, f"Table {number}") in expected or not isinstance(number, int)


@pytest.mark.skipif(not PAPERS.is_dir(), reason="the papers' text is not here (CEAE_PAPERS)")
def test_the_list_is_that_of_the_captions():
    for paper in ("ceae", "clvm"):
        text = (PAPERS / f"{paper}.md").read_text(encoding="utf-8")
        captions = {f"{kind} {number}" for kind, number in re.findall(r"^(Table|Figure) (\d+):", text, re.MULTILINE)}
        assert captions == {item.label for item in reproduction.ITEMS if item.paper == paper}


def test_every_chapter_is_in_the_table_of_contents_and_every_other_item_has_a_reason():
    chapters = here().chapters()
    for row in reproduction.report().rows:
        item = row.item
        assert item.chapter is None or item.chapter in chapters, item
        assert row.verdict in outcome.VERDICTS and row.outcome.theirs and row.outcome.lesson.endswith("."), item
        if row.verdict in (outcome.NOT_YET, outcome.NOT_RUNNABLE):
            assert item.why.endswith("."), item
        else:
            assert item.chapter and (item.is_drawing or row.outcome.checks), item


# the rule ------------------------------------------------------------------------------------------------------------

def checks(*holds):
    return [Check("something", value) for value in holds]


@pytest.mark.parametrize("holds, expected", [
    ((True, True), outcome.REPRODUCED), ((True, None), outcome.PARTLY), ((True, False), outcome.PARTLY),
    ((False, False), outcome.NOT), ((False, None), outcome.NOT), ((None, None), outcome.NOT_YET),
    ((), outcome.NOT_YET)])
def test_the_verdict_follows_from_the_checks(holds, expected):
    assert verdict(checks(*holds)) == expected
    assert verdict(checks(*holds), was_run=True) == (outcome.UNDECIDED if expected == outcome.NOT_YET else expected)
    obstacle = verdict(checks(*holds), obstacle="no data")
    assert obstacle == (outcome.NOT_RUNNABLE if expected == outcome.NOT_YET else expected)
    assert verdict(checks(*holds), is_drawing=True) == outcome.DRAWING


def test_the_tally():
    assert outcome.tally(checks(True, False, None)) == "1 of 2, 1 open"
    assert outcome.tally(checks(True)) == "1 of 1" and outcome.tally([]) == ""
    assert outcome.tally(checks(None)) == "1 open"


def test_a_check_holds_where_every_source_that_decides_agrees():
    found = outcome.joined("it", {"a": (True, "3 nats"), "b": (None, "")})
    assert found == Check("it", True, "a: yes (3 nats); b: open")
    assert outcome.joined("it", {"a": (True, ""), "b": (False, "")}).holds is False
    assert outcome.joined("it", {"a": (None, "")}).holds is None and outcome.joined("it", {}).holds is None


CLAIM = Claim("a and b below c", "PPL", [("iVAE:", "VAE:"), ("cVAE:", "VAE:")])
PRINTED = {"iVAE:": 1.0, "cVAE:": 2.0, "VAE:": 3.0}


BOUND = "nll_iw_nats"


@pytest.fixture
def source(row_of, result):
    """source(model=number, …): runs of rows of the second paper's Table 1, and five seeds of a family with sd 0.158."""
    def make(**numbers):
        group = [row_of(f"clvm:1:{model}:", **{BOUND: value}) for model, value in numbers.items()]
        group += [result("ae", seed, **{BOUND: 50 + 0.1 * seed}) for seed in range(1, 6)]
        return language.Source.of("clvm", 1, group, lambda row: BOUND)
    return make


@pytest.mark.parametrize("numbers, holds", [
    (dict(iVAE=10.0, cVAE=11.0, VAE=12.0), True), (dict(iVAE=10.0, cVAE=13.0, VAE=12.0), False),
    (dict(iVAE=10.0, cVAE=11.6, VAE=12.0), None),               # one pair is closer than two seeds may be: 0.44
    (dict(iVAE=10.0, cVAE=11.5, VAE=12.0), True),
    (dict(iVAE=10.0, VAE=12.0), None), (dict(iVAE=13.0, VAE=12.0), False),      # a part can refute, not support
    (dict(VAE=12.0), None)])
def test_a_claim_about_pairs(source, numbers, holds):
    found = language.claim_check(CLAIM, [PRINTED], {"here": source(**numbers)})
    assert found.holds is holds and found.says == CLAIM.text
    assert ("1 of 2 pairs are recorded" in found.shown) == (len(numbers) == 2)
    assert ("1 too close" in found.shown) == (numbers.get("cVAE") == 11.6)


def test_a_claim_that_is_not_even_printed(source):
    found = language.claim_check(CLAIM, [PRINTED, PRINTED | {"cVAE:": 4.0}],
                                 {"here": source(iVAE=10.0, cVAE=11.0, VAE=12.0)})
    assert found.holds is False and found.shown.startswith(language.NOT_PRINTED)


def test_the_margin_is_what_seeds_do(result):
    group = [result("vae", seed, **{BOUND: value}) for seed, value in enumerate((10.0, 10.2, 10.4, 10.1, 10.3), 1)]
    wide = [result("ae", seed, **{BOUND: 5.0 * value}) for seed, value in enumerate((10.0, 10.2, 10.4, 10.1, 10.3), 1)]
    sd, other = 0.158114, result("cvae")
    noise = outcome.Noise([*group, *wide], BOUND)
    assert noise.margin(group[:1], group[:1]) == pytest.approx(1.96 * 2 ** 0.5 * sd, rel=1e-4)
    assert noise.margin(group, wide[:1]) == pytest.approx(1.96 * (sd ** 2 / 5 + (5 * sd) ** 2) ** 0.5, rel=1e-4)
    assert noise.margin([other], group[:1]) == pytest.approx(1.96 * ((5 * sd) ** 2 + sd ** 2) ** 0.5, rel=1e-4)
    assert outcome.Noise(group[:2], BOUND).margin(group[:1], group[:1]) == outcome.SAME     # too few seeds to know
    both = outcome.Noise([*group, *(result("ivae", seed, kl_dual_nats=float(seed)) for seed in range(1, 6))],
                         "kl_nats", "kl_dual_nats")
    assert set(both.sds) == {"vae", "ivae"} and both.sds["ivae"] == pytest.approx(2.5 ** 0.5)


# tampering -----------------------------------------------------------------------------------------------------------

@pytest.fixture
def tampered(tmp_path, monkeypatch):
    """tampered(file, old, new): from now on the published numbers have that cell changed."""
    caches = (published.load, published._text)

    def change(name, old, new):
        folder = tmp_path / "published"
        if not folder.exists():
            shutil.copytree(published.FOLDER, folder)
        path, = folder.glob(f"{name}*.csv")
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, (old, text.count(old))
        path.write_text(text.replace(old, new), encoding="utf-8")
        monkeypatch.setattr(published, "FOLDER", folder)
        for cache in caches:
            cache.cache_clear()
    yield change
    for cache in caches:
        cache.cache_clear()


def judged(key, records):
    return reproduction.report(records, [BY[key]]).rows[0]


@pytest.fixture
def table1(row_of):
    """Runs of the rows of the first paper's Table 1 whose Rec is the one printed for Yahoo, less 300 nats."""
    def make(change=lambda row, rec: rec):
        group = []
        for row in published.rows("ceae", 1):
            printed_rec = published.cell(row, "Yahoo", "Rec").value - 300
            group.append(row_of(row, rec_nats_per_sentence=change(row, printed_rec)))
        return Records({"oracle at quick": group})
    return make


def test_ceae_table_1(table1, tampered):
    whole = judged(("ceae", "Table 1"), table1())
    assert whole.verdict == outcome.PARTLY and outcome.tally(whole.outcome.checks) == "4 of 4, 3 open"
    assert "Yahoo −1.9" in whole.outcome.theirs and "oracle at quick −1.9" in whole.outcome.ours
    assert whole.run == "oracle at quick: 14 runs, 1 seed each" and len(whole.ids) == 14
    worse = judged(("ceae", "Table 1"), table1(lambda row, rec: 50 if row == OURS else rec))
    assert [c.holds for c in worse.outcome.checks][:2] == [False, True]
    assert judged(("ceae", "Table 1"), table1(lambda row, rec: -rec)).verdict == outcome.NOT
    records = table1()
    tampered("ceae_table01", ",Rec,316.7,", ",Rec,319.7,")
    found = judged(("ceae", "Table 1"), records)
    assert [c.holds for c in found.outcome.checks][:2] == [False, True]
    assert language.NOT_PRINTED in found.outcome.checks[0].shown and "Yahoo +1.1" in found.outcome.theirs


@pytest.fixture
def transformer_table(row_of):
    """transformer_table(table, dataset, …): runs of its rows whose Rec is the one printed, and bounds in reverse."""
    def make(table, dataset, change=lambda row, rec: rec):
        group = []
        for row in published.rows("ceae", table):
            rec = change(row, published.cell(row, dataset, "Rec").value)
            group.append(row_of(row, rec_nats_per_sentence=rec, nll_iw_nats=1000 - rec))
        return Records({"oracle at quick": group})
    return make


def test_ceae_table_2(transformer_table, tampered):
    whole = judged(("ceae", "Table 2"), transformer_table(2, "Yahoo"))
    assert [c.holds for c in whole.outcome.checks] == [True, True, True, None]    # Yelp: not its order, nor the reverse
    assert "Yahoo (small) −1.5" in whole.outcome.theirs and "oracle at quick (pretrained) −7.1" in whole.outcome.ours
    assert len(whole.ids) == 9 and whole.verdict == outcome.PARTLY
    for row, place in (("ceae:2:CEAE:", 0), ("ceae:2:CEAE:OPTIMUS", 1)):            # each half has its own first row
        records = transformer_table(2, "Yahoo", lambda r, rec, row=row: 400 if r == row else rec)
        worse = judged(("ceae", "Table 2"), records)
        assert worse.outcome.checks[place].holds is False and worse.outcome.checks[1 - place].holds is True
    tampered("ceae_table02", ",Rec,326.1,", ",Rec,336.1,")
    found = judged(("ceae", "Table 2"), Records())
    assert language.NOT_PRINTED in found.outcome.checks[0].shown and "Yelp (small) +7.6" in found.outcome.theirs


def test_ceae_table_11(transformer_table):
    records = transformer_table(11, "PTB")
    found = judged(("ceae", "Table 11"), records)
    assert outcome.tally(found.outcome.checks) == "2 of 2, 3 open" and "number 7 of 7" in found.outcome.lesson
    assert "oracle at quick (PTB's rows) −2.3" in found.outcome.ours
    lstms = dataclasses.replace(records, runs={label: [dataclasses.replace(r, settings={}) for r in group]
                                               for label, group in records.runs.items()})
    assert judged(("ceae", "Table 11"), lstms).ids == []                            # LSTMs are no rows of this table


@pytest.fixture
def swap(row_of):
    """Runs of the two rows of the second paper's Table 7, as printed or with one number changed."""
    def make(**change):
        dropout = dict(nelbo_dual_nats_per_sentence=10.0, kl_dual_nats=5.0, mi_dual_nats=3.0, nll_iw_nats=20.0,
                       kl_exact_nats=9.0, mi_exact_nats=4.0) | change
        other = dict(nelbo_dual_nats_per_sentence=11.0, kl_dual_nats=4.0, mi_dual_nats=2.0, nll_iw_nats=21.0,
                     kl_exact_nats=8.0, mi_exact_nats=3.0)
        return Records({"ptb at laptop": [
            row_of(f"clvm:7:{model}", corpus="ptb", size="laptop", **numbers)
            for model, numbers in zip(language.SWAP, (dropout, other), strict=True)]})
    return make


def test_clvm_table_7(swap, tampered):
    key = ("clvm", "Table 7")
    assert judged(key, swap()).verdict == outcome.REPRODUCED
    assert "it keeps its sign" in judged(key, swap()).outcome.lesson
    assert judged(key, swap(nll_iw_nats=22.0)).verdict == outcome.PARTLY
    assert "turns round" in judged(key, swap(nll_iw_nats=22.0)).outcome.lesson
    assert "no more than what seeds do" in judged(key, swap(nll_iw_nats=21.001)).outcome.lesson
    assert judged(key, Records()).verdict == outcome.NOT_YET
    same = swap(nelbo_dual_nats_per_sentence=11.0, kl_dual_nats=4.0, mi_dual_nats=2.0, nll_iw_nats=21.0,
                kl_exact_nats=8.0, mi_exact_nats=3.0)
    assert judged(key, same).verdict == outcome.UNDECIDED
    tampered("clvm_table07", ",PPL,36.96,", ",PPL,33.96,")
    assert judged(key, swap()).verdict == outcome.PARTLY


def test_clvm_table_3(row_of):
    def records(sign):
        group = [row_of(f"clvm:3:{model}", nelbo_dual_nats_per_sentence=10 + sign * place,
                        kl_dual_nats=5 - sign * place, nll_iw_nats=20 + sign * place, kl_exact_nats=9 - sign * place)
                 for pair in language.Z_BEFORE_H for place, model in enumerate(pair)]
        return Records({"oracle at quick": group})
    assert judged(("clvm", "Table 3"), records(1)).verdict == outcome.REPRODUCED
    assert judged(("clvm", "Table 3"), records(-1)).verdict == outcome.NOT


def test_clvm_table_1(row_of, tampered):
    key = ("clvm", "Table 1")

    def records(valid):
        group = []
        for row in published.rows("clvm", 1):
            value = {metric: published.cell(row, "PTB", metric).value for metric in ("-ELBO", "KL", "MI")}
            metrics = dict(nelbo_dual_nats_per_sentence=value["-ELBO"], nelbo_nats_per_sentence=value["-ELBO"],
                           kl_dual_nats=value["KL"], kl_nats=value["KL"], mi_dual_nats=value["MI"],
                           mi_minibatch_nats=value["MI"], nll_iw_nats=valid * value["-ELBO"],
                           kl_exact_nats=valid * value["KL"], mi_exact_nats=valid * value["MI"],
                           mi_dataset_nats=valid * value["MI"])
            group.append(row_of(row, corpus="ptb", size="laptop", tokens_per_sentence=21.917, **metrics))
        return Records({"ptb at laptop": group})
    as_printed = judged(key, records(1))
    by = {check.says: check.holds for check in as_printed.outcome.checks}
    assert by["PPL follows from −ELBO in every row"] is False            # the VAE's row
    assert by["the MI of every row is possible, at most log N"] is False
    ours = [check.holds for check in as_printed.outcome.checks[2:]]
    # −ELBO has one decimal: rows that print the same number there are open
    assert False not in ours and ours.count(True) >= 8
    turned = [check.holds for check in judged(key, records(-1)).outcome.checks[2:]]
    assert turned[::2] == ours[::2] and True not in turned[1::2] and False in turned[1::2]
    tampered("clvm_table01", ",PPL,108.26,", ",PPL,107.83,")
    fixed = {check.says: check.holds for check in judged(key, records(1)).outcome.checks}
    assert fixed["PPL follows from −ELBO in every row"] is True


def seeded(result, gap, n=10):
    """Runs of CEAE and BN-VAE with n seeds each; CEAE's Rec is lower by `gap`."""
    group = [result(family, seed, rec_nats_per_sentence=20 - gap * (family == "ceae") + 0.1 * (seed % 3))
             for family in ("ceae", "bn-vae") for seed in range(1, n + 1)]
    return Records({"oracle at quick": group})


def test_tables_12_and_13(result, tampered):
    yahoo, yelp = ("ceae", "Table 12"), ("ceae", "Table 13")
    found = judged(yahoo, seeded(result, 2.0))
    assert [c.holds for c in found.outcome.checks] == [True, False, True] and found.verdict == outcome.PARTLY
    assert "impossible" in found.outcome.lesson and "oracle at quick" in found.outcome.ours
    assert [c.holds for c in judged(yelp, seeded(result, 2.0)).outcome.checks] == [False, True, True]
    assert [c.holds for c in judged(yelp, seeded(result, -2.0)).outcome.checks] == [False, True, False]
    assert judged(yahoo, seeded(result, 2.0, n=4)).outcome.checks[2].holds is None          # too few seeds
    assert judged(yahoo, Records()).outcome.checks[2].holds is None
    tampered("ceae_table12", "CEAE,,L-F,,0.3,", "CEAE,,L-F,,1.3,")
    assert judged(yahoo, seeded(result, 2.0)).verdict == outcome.REPRODUCED
    tampered("ceae_table12", "CEAE,,Rec,,0.4,", "CEAE,,Rec,,9.4,")
    assert judged(yahoo, seeded(result, 2.0)).verdict == outcome.PARTLY


@pytest.fixture
def courses(result):
    """Runs of the three models of Figure 3 with the given estimates of the KL over epochs (the MI is half of it)."""
    def make(**kl):
        kl = {"ivae": (-1.0, 2.0), "cvae": (-0.5, 2.0), "cvae+-mi": (1.0, 2.0)} | kl
        group = [dataclasses.replace(result(family, 1), history=[
            {"epoch": epoch, "valid_kl_dual_nats": value, "valid_mi_dual_nats": value / 2}
            for epoch, value in enumerate(values)]) for family, values in kl.items()]
        return Records({"ptb at laptop": group})
    return make


def test_clvm_figure_3(courses):
    key = ("clvm", "Figure 3")
    whole = judged(key, courses())
    assert whole.verdict == outcome.REPRODUCED and "20 to 20 % of the exact KL" in whole.outcome.lesson
    assert "ptb at laptop −1.0" in whole.outcome.ours
    for change in ({"ivae": (0.5, 2.0)}, {"cvae": (-3.0, 2.0)}, {"cvae+-mi": (2.0, 1.0)}, {"cvae+-mi": (-1.0, 2.0)}):
        assert judged(key, courses(**change)).verdict == outcome.PARTLY, change
    some = Records({"x": [r for r in courses().every if r.family == "ivae"]})
    assert [c.holds for c in judged(key, some).outcome.checks] == [True, True, None, None, None]


def test_clvm_figure_4(result, tampered):
    def records(**at):
        values = {0.1: 12.0, 0.3: 10.0, 0.6: 10.0, 0.9: 13.0} | {float(k[1:]) / 10: v for k, v in at.items()}
        return Records({"ptb at laptop": [
            result("cvae+-mi", settings={"stack": "ivae", "encoder_dropout": rate}, nelbo_dual_nats_per_sentence=value,
                   nll_iw_nats=value + 5) for rate, value in values.items()]})
    key = ("clvm", "Figure 4")
    found = judged(key, records(_6=10.005))
    assert [c.holds for c in found.outcome.checks] == [None, True, True] * 2 and found.verdict == outcome.PARTLY
    assert "the same by the critics" in found.outcome.lesson
    assert [c.holds for c in judged(key, records(_6=11.0)).outcome.checks] == [True, False, True] * 2
    assert [c.holds for c in judged(key, records(_1=9.0, _9=9.5)).outcome.checks] == [False, True, False] * 2
    tampered("clvm_intext_settings", "dropout_best,0.3,", "dropout_best,0.6,")
    assert judged(key, records(_6=9.0)).outcome.checks[0].holds is True


def trained(model, categories, accuracies, steps=(0, 3500, 5000, 80_000)):
    result = {"steps": list(steps), "codes": {}, "measures": {"accuracy": [[a] for a in accuracies]}}
    return clusters.Trained.of({"id": f"{model}-{categories}", "result": result, "parameters": {
        "model": model, "categories": categories, "lr": 1e-5, "steps": steps[-1], "seeds": [1]}})


def test_clvm_table_5():
    key = ("clvm", "Table 5")
    good = [trained(model, k, (0.1, 0.2, 0.3, 1.0) if model in ("vae", "ivae") and k == 4 else
                    (0.1, 0.2, 0.3, 0.4) if model == "ivae" else (0.1, 1.0, 1.0 if k < 16 else 0.9, 1.0))
            for k in (4, 8, 16) for model in ("vae", "ivae", "cvae", "cvae+", "cvae+ adversarial")]
    found = judged(key, Records(clusters=good))
    assert found.verdict == outcome.REPRODUCED, found.outcome.checks
    assert found.run == "15 experiments" and "3 of 3 trainings" in found.outcome.lesson
    slow = [trained("vae", 4, (0.1, 0.2, 0.3, 0.5)) if t.id == "vae-4" else t for t in good]
    assert judged(key, Records(clusters=slow)).verdict == outcome.PARTLY
    one = [t for t in good if t.id == "cvae-4"]
    assert [c.holds for c in judged(key, Records(clusters=one)).outcome.checks].count(None) == len(clusters.CLAIMS) - 1


# tables that wait ----------------------------------------------------------------------------------------------------

def test_what_is_not_run_says_so_until_a_rule_finds_something():
    waiting = BY["ceae", "Table 2"]
    assert judged(("ceae", "Table 2"), Records()).verdict == outcome.NOT_YET
    done = dataclasses.replace(waiting, chapter="intro", rule=lambda records: Outcome(
        "a", "b", "c.", [Check("CEAE before BN-VAE", True)]))
    assert reproduction.report(Records(), [done]).rows[0].verdict == outcome.REPRODUCED
    assert judged(("ceae", "Table 4"), Records()).verdict == outcome.NOT_RUNNABLE


def test_shares_of_choices(tampered):
    lesson = judged(("ceae", "Table 4"), Records()).outcome.lesson
    assert "Yahoo z = 1.6" in lesson and lesson.endswith("no significant lead on Yahoo.")
    tampered("ceae_table04", ",36.2,", ",26.2,")
    assert judged(("ceae", "Table 4"), Records()).outcome.lesson.endswith("the lead is significant.")


@pytest.mark.parametrize("label, words", [
    ("Table 2", "Yahoo (small) −1.5, Yahoo (pretrained) −7.1"), ("Table 3", "0.0, 0.3, 0.4, 0.3, 0.2 points"),
    ("Table 9", "Spearman: CEAE 0.76"), ("Table 11", "nats: −2.3"), ("Table 6", "6 interpolated")])
def test_printed_headlines_of_the_first_paper(label, words):
    assert words in judged(("ceae", label), Records()).outcome.theirs


def test_printed_lessons_follow_the_print(tampered):
    assert "3 of 3 columns" in judged(("ceae", "Table 9"), Records()).outcome.lesson
    assert "does not grow" in judged(("ceae", "Table 3"), Records()).outcome.lesson
    assert "14 of 14 rows; the MI of 2" in judged(("clvm", "Table 2"), Records()).outcome.lesson
    tampered("ceae_table09", ",0.82,", ",0.62,")
    tampered("clvm_table02", ",PPL,61.21,", ",PPL,65.21,")
    assert "2 of 3 columns" in judged(("ceae", "Table 9"), Records()).outcome.lesson
    assert "14 of 14 rows" not in judged(("clvm", "Table 2"), Records()).outcome.lesson


# how it is shown -----------------------------------------------------------------------------------------------------

def test_the_recorded_report_is_shown_in_every_form():
    found = reproduction.report()
    assert sum(found.counts().values()) == len(found.rows) == len(reproduction.ITEMS)
    lines = found.lines()
    assert max(map(len, lines)) <= reproduction.LINE
    assert all(any(line.startswith(row.name + " ") and line.endswith(row.verdict) for line in lines)
               for row in found.rows)
    table = found.table()
    assert [row["verdict"].value for row in table.rows] == [row.verdict for row in found.rows]
    first = next(row for row, whole in zip(table.rows, found.rows, strict=True) if whole.outcome.runs)
    assert first["what was run"].title.split("; ")[0].count("-") >= 4              # run ids
    assert 'href="ptb_language_modelling.html"' in table._repr_html_()
    assert len(found.checks_table().rows) == sum(len(row.outcome.checks) for row in found.rows)
    assert [row["how many"] for row in found.counts_table().rows] == list(found.counts().values())


def test_all_that_is_recorded_is_read():
    records = reproduction.recorded()
    files = [path for path in recorded.RESULTS.glob("*/*.json") if path.parent.name != "experiments"]
    assert {r.id for r in records.every} == {path.stem for path in files}
    assert all(label == f"{r.corpus} at {r.scale}" for label, group in records.runs.items() for r in group)
    assert pictures.clvm_table5(records).experiments == [t.id for t in records.clusters]
