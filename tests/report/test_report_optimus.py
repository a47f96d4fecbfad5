"""The page on OPTIMUS: its tables from invented results and from the published numbers."""

import json

import pytest
import torch

from ceae_core import assembly, execute
from ceae_core.report import optimus, published
from ceae_core.report.results import Result, row_specs
from ceae_core.runs import Store
from ceae_core.spec import resolve

PRETRAINED, TRANSFORMER = {"net": "pretrained"}, {"net": "transformer"}


@pytest.fixture
def trained(result):
    """trained(low, high, bn, ceae): our four runs with these pairs of Rec and IW bound."""
    def make(low, high, bn, ceae):
        kinds = (("optimus", {}, low), ("optimus", {"dim_target": 0.5}, high), ("optimus-bn-vae", {}, bn),
                 ("optimus-ceae", {}, ceae))
        return [result(family, options=options, rec_nats_per_sentence=rec, nll_iw_nats=bound)
                for family, options, (rec, bound) in kinds]
    return make


def test_runs_are_named_by_their_lambda(trained):
    assert [r.name for r in trained((1, 1), (1, 1), (1, 1), (1, 1))] == [
        "optimus (0.05)", "optimus (0.5)", "optimus-bn-vae (0.05, 0.7)", "optimus-ceae"]


def test_the_rows_of_the_paper_are_these_families():
    specs = row_specs("ceae", 2, "oracle", "smoke", [1, 2], only=[*optimus.ROWS, *optimus.LAMBDAS])
    assert [(s.family, s.seed, s.options.get("dim_target")) for s in specs] == [
        (family, seed, target) for family, target in (("optimus", 0.05), ("optimus-bn-vae", 0.05), (
            "optimus-ceae", None), ("optimus", 0.5), ("optimus", 1.0)) for seed in (1, 2)]
    assert {s.settings.net for s in specs} == {"pretrained"}
    assert set(optimus.ROWS) == {row for row in published.rows("ceae", 2) if "OPTIMUS" in row}
    assert set(optimus.LAMBDAS) == set(published.rows("ceae", "A.5"))


def test_lambdas_are_the_printed_numbers_the_lowest_bold():
    rows = {row["model"]: row for row in optimus.lambdas().rows}
    assert list(rows) == ["OPTIMUS (lowest lambda)", "OPTIMUS (lambda 0.5)", "OPTIMUS (lambda 1)",
                          "BN-VAE (gamma 0.7, OPTIMUS)", "CEAE (OPTIMUS)"]
    columns = [column for column in rows["CEAE (OPTIMUS)"] if column != "model"]
    assert columns[0] == "Yahoo | Rec (nats)" and len(columns) == 8
    for column in columns:
        values = {model: row[column].value for model, row in rows.items() if row[column].value is not None}
        assert {m for m, row in rows.items() if row[column].strong} == {m for m in values
                                                                        if values[m] == min(values.values())}
    assert rows["OPTIMUS (lambda 1)"]["Yahoo | Rec (nats)"].strong          # not CEAE
    assert rows["OPTIMUS (lambda 0.5)"]["Yelp | Rec (nats)"].value is None


@pytest.mark.parametrize(("numbers", "expected"), [
    (((20.0, 21.0), (15.0, 20.0), (17.0, 22.0), (14.0, 23.0)), ["yes", "yes", "no", "no"]),
    (((20.0, 21.0), (13.0, 20.0), (17.0, 22.0), (14.0, 23.0)), ["yes", "yes", "yes", "yes"]),
    (((16.0, 21.0), (18.0, 22.0), (17.0, 20.0), (16.5, 23.0)), ["no", "no", "no", "no"])])
def test_claims_are_judged_by_the_numbers(trained, numbers, expected):
    table = optimus.claims(trained(*numbers))
    assert [row["here"] for row in table.rows] == expected
    assert all(f"{numbers[3][0]:.2f}" in table.rows[i]["nats"] for i in (0, 2))


def test_codes_on_three_networks(result, trained):
    built = trained((20.0, 21.0), (15.0, 20.0), (17.0, 22.0), (14.0, 23.0))
    plain = [result("vae", rec_nats_per_sentence=1.0), result("vae", settings=TRANSFORMER, rec_nats_per_sentence=2.0),
             result("ceae", settings=TRANSFORMER, rec_nats_per_sentence=3.0, nll_iw_nats=4.0)]
    vae, bn, ceae = optimus.pretraining([*built, *plain]).rows
    assert (vae["code"], vae["LSTM | Rec"], vae["transformer | Rec"], vae["pretrained encoder | Rec"]) == (
        "vae", 1.0, 2.0, 20.0)
    assert (bn["LSTM | Rec"], bn["pretrained encoder | IW bound"]) == (None, 22.0)
    assert (ceae["transformer | IW bound"], ceae["pretrained encoder | Rec"], ceae["LSTM | Rec"]) == (4.0, 14.0, None)


def test_networks_are_counted_in_the_model(oracle_corpus, tiny_bert):
    spec = resolve("optimus", scale="smoke", set={"encoder": tiny_bert, "tuned": 1})
    vocabulary = oracle_corpus.vocabulary("bn")
    encoder, decoder = optimus.networks(spec, vocabulary).rows
    torch.manual_seed(0)
    model = assembly.build_model(spec, vocabulary)
    assert encoder["weights"] == sum(p.numel() for p in model.encoder.parameters()) > encoder["of them trained"] > 0
    assert decoder["weights"] == decoder["of them trained"] == sum(p.numel() for p in model.decoder.parameters())
    assert (encoder["layers"], encoder["width"], decoder["layers"], decoder["width"]) == (2, 16, 2, 16)
    assert encoder["here"].startswith("tiny-bert@") and decoder["here"] == "scratch"


def test_schedules_are_those_of_the_training():
    spec = resolve("optimus-ceae", scale="quick")
    (panel,) = optimus.schedules(spec)
    kl, contrast, noise = panel.lines
    lead, end = spec.options["decoder_epochs"], spec.settings.epochs
    assert kl.x[0] == lead and kl.x[-1] == pytest.approx(end, abs=0.01)
    half = len(kl.x) // 2
    assert max(kl.y[:half]) == 0.0 and kl.y[half * 3 // 2] == pytest.approx(1.0) and kl.y[-1] == 1.0
    assert contrast.y[0] == 0.0 < contrast.y[-1] < 1.0 and noise.y[0] == 1.0 and noise.y[-1] == 0.0


def test_samples_are_those_that_runs_kept(tmp_path, tiny_bert, reviews, monkeypatch):
    """Of the store, or of what is recorded."""
    changes = {"encoder": tiny_bert, "iw_samples": 2, "iw_sentences": 4, "precision": "fp32"}
    run = execute.obtain(resolve("optimus", str(reviews), "smoke", set=changes), Store(tmp_path / "runs"))
    result = Result.of(run)
    here = optimus.samples([result], 3, Store(tmp_path / "runs"))
    assert [row[result.name] for row in here.rows] == run.samples["multinomial"][:3]
    content = {"id": run.id, "samples": {"multinomial": ["a b", "c"]}}
    monkeypatch.setattr(optimus, "load", lambda corpus: [json.loads(json.dumps(content))])
    there = optimus.samples([result], 2, Store(tmp_path / "none"))
    assert [row[result.name] for row in there.rows] == ["a b", "c"]
