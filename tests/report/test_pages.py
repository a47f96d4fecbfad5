"""What the chapters ask of report on real, tiny runs."""

import pytest
import torch

from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.execute import ensure
from ceae_core.report import codes, composition, notes, results, samples, truth
from ceae_core.report.statistics import rec_with_batch_statistics
from ceae_core.runs import Store
from ceae_core.spec import resolve


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("runs"))
    short = {"epochs": 1, "iw_samples": 2}
    return ensure([resolve(name, scale="smoke", set=short) for name in ("lstm-lm", "ceae")], store)


def test_a_run_and_its_record_give_the_same_result(runs, tmp_path):
    from ceae_core.report import recorded
    recorded.record(runs[1], tmp_path)
    content, = recorded.load("oracle", "smoke", tmp_path)
    again = results.Result._made(content["id"], content["spec"], content, content["history"])
    assert again == results.Result.of(runs[1])


def test_codes_are_turned_but_not_rescaled(runs):
    corpus = runs[1].spec.load_corpus()
    points = codes.principal([runs[1]], corpus.splits["test"].sentences)["ceae"]
    from ceae_core.corpora.batching import Encoded
    from ceae_core.measure.latent import codes as mu_of
    mu, _ = mu_of(runs[1].model(), Encoded(corpus.splits["test"].sentences, runs[1].vocabulary()), torch.device("cpu"))
    assert points.shape == (len(mu), 2)
    spread = torch.linalg.eigvalsh(torch.cov(mu.T)).flip(0)[:2]
    assert points.var(0, ddof=1) == pytest.approx(spread.numpy())
    rows = codes.data({"ceae": points}, None, "codes").table.rows
    assert len(rows) == len(points) and rows[3]["direction 2"] == points[3, 1]


def test_batch_statistics_differ_from_running_ones_and_change_nothing(runs):
    before = runs[1].metrics["rec_nats_per_sentence"]
    value = rec_with_batch_statistics(runs[1], "random")
    assert 0.5 * before < value < 2 * before and value != before
    assert value == rec_with_batch_statistics(runs[1], "random")
    with pytest.raises(CeaeError, match="no batch norm"):
        rec_with_batch_statistics(runs[0], "random")


def test_samples_and_reconstructions(runs):
    sentences = runs[1].spec.load_corpus().splits["test"].sentences[:3]
    table = samples.reconstructions(runs[1:], sentences, "c", "n")
    assert [row["sentence"] for row in table.rows] == [" ".join(s) for s in sentences] and "ceae" in table.columns
    assert samples.word_errors(runs[1:], sentences)["ceae"] > 0
    texts = truth.generated(runs[1:], count=5)
    assert len(texts["ceae"]) == 5 and texts == truth.generated(runs[1:], count=5)
    scored = truth.scores({"true text": sentences, **texts}, "c", "n").rows
    assert scored[0]["grammatical (share)"] == 1.0 and scored[1]["of sentences"] == 5


def test_notes_speak_only_where_there_is_something_to_say():
    assert notes.scale_note("quick") is None and notes.scale_note("paper") is None
    assert "mean nothing" in notes.scale_note("smoke")._repr_html_()
    with pytest.raises(CeaeError):
        notes.scale_note("huge")


def test_composition_tables():
    assert {row["choice"]: row["bn"].text for row in composition.stacks_table().rows}["encoder_init"] == "PyTorch's"
    rows = {row["setting"]: row for row in composition.settings_table(["hidden", "optimiser"]).rows}
    assert rows["hidden"]["quick"].value == 128 and rows["optimiser"]["paper"].text == "sgd"


def test_the_zoo_table_names_every_part_of_a_family():
    rows = {row["family"].value: row for row in composition.families_table().rows}
    assert list(rows) == list(zoo.FAMILIES)
    assert rows["cvae"]["with"] == "Critics" and rows["sa-vae"]["with"] == "Refinement"
    assert rows["vae"]["with"] is None and rows["rae"]["with"] == "fit_prior"
    assert rows["cvae"]["loss besides Rec"] == "dual × warmup, contrast × contrast_weight"
    assert rows["bn-vae"]["differs in"] == "norm=batch, gamma=0.7" and rows["vae"]["differs in"] is None
    assert rows["bn-vae"]["published rows"] == "CEAE 1 (0.6, 0.7), 2 (0.7), 3 (0.6), 11 (0.7)"
    assert rows["optimus"]["published rows"] == "CEAE 2, A.5 (0.5, 1)"
    assert rows["cvae+-mi"]["published rows"] == "CLVM 1, 2, 4, 7 (dropout, swap)"
    assert rows["lstm-lm"]["posterior"] is None and rows["fb-total"]["published rows"] is None


def test_the_options_table_has_every_option_of_every_family_once():
    rows = composition.options_table().rows
    shown = [(row["option"], family) for row in rows for family in row["in"].split(", ")]
    assert sorted(shown) == sorted((option, name) for name, family in zoo.FAMILIES.items()
                                   for option in family.defaults())
    found = {(row["option"], row["default"]): row for row in rows}
    assert found["gamma", "0.7"]["in"] == "bn-vae, optimus-bn-vae" and "vae" in found["gamma", "none"]["in"].split(", ")
    assert found["c0", "auto"]["declared by"] == "decaying_noise"
    assert found["encoder_sign", "paper"]["declared by"] == "Dual"


def test_identities_stop_the_build_when_they_fail(monkeypatch, runs):
    monkeypatch.setattr(composition, "ensure", lambda specs, device: [runs[0], runs[1]] * len(composition.IDENTITIES))
    with pytest.raises(CeaeError, match="should give the same weights"):
        composition.identities()
