"""Agreement of runs with an encoder: which sentences, which judge, what is kept and found again."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ceae_core import experiments
from ceae_core.corpora.batching import Encoded
from ceae_core.corpora.corpus import Corpus, Split
from ceae_core.errors import CeaeError
from ceae_core.experiments import agreement
from ceae_core.experiments.agreement import Study
from ceae_core.measure import latent, sentence_vectors
from ceae_core.measure.agreement import DRAWS, coefficients, similarities
from ceae_core.measure.sentence_vectors import Reading, SentenceEncoder
from ceae_core.pretrained import MINILM
from ceae_core.runs import Store
from ceae_core.spec import resolve
from ceae_core.training import Training


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run("vae")


@pytest.fixture
def study(run, store, tiny_bert):
    return Study(run.spec, encoder=str(tiny_bert), draws=8, sentences=40, store=store, results=None)


def values(content) -> dict[str, float]:
    return {name: each["value"] for name, each in content["result"]["coefficients"].items()}


def upper(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.triu_indices(len(matrix), 1)]


def test_codes_against_the_encoder_recomputed_from_their_parts(study, run, tiny_bert) -> None:
    found = study.of_run(run.spec)
    encoder = SentenceEncoder.load(str(tiny_bert))
    theirs = encoder.vectors(study.chosen, Reading())
    mu, _ = latent.codes(run.model(), Encoded(study.chosen, run.vocabulary()), torch.device("cpu"))
    assert values(found) == pytest.approx(coefficients(upper(mu.numpy() @ mu.numpy().T),
                                                       upper(theirs.astype(float) @ theirs.T)))
    assert found["result"]["pairs"] == 40 * 39 // 2 and found["result"]["cut"] == 0
    assert found["parameters"] == {
        "judge": "codes", "of": run.id, "similarity": "inner", "sentences": 40, "seed": 1, "draws": 8,
        "encoder": "tiny-bert", "weights": encoder.sha256, "layer": "last", "pooling": "mean",
        "encoder_similarity": "inner"}


def test_the_readings_of_both_sides_matter_and_are_part_of_the_name(study, run, store, tiny_bert) -> None:
    plain = study.of_run(run.spec)
    others = [study.of_run(run.spec, "cosine")] + [
        Study(run.spec, encoder=str(tiny_bert), draws=8, store=store, results=None, **{"sentences": 40, **change}
              ).of_run(run.spec)
        for change in ({"how": Reading(1)}, {"how": Reading("last", "cls")}, {"encoder_similarity": "cosine"},
                       {"seed": 2}, {"sentences": 39})]
    assert len({each["id"] for each in [plain, *others]}) == 7
    assert len({round(values(each)["pearson"], 9) for each in [plain, *others]}) == 7


def test_sentences_are_different_ones_of_the_test_split(study, run) -> None:
    test = run.spec.load_corpus().splits["test"].sentences
    assert len(set(study.chosen)) == 40 and set(study.chosen) < set(test)
    assert study.chosen != test[:40]
    again = Study(run.spec, sentences=40, seed=1)
    assert again.chosen == study.chosen and Study(run.spec, sentences=40, seed=2).chosen != study.chosen


def test_all_sentences_where_there_are_fewer_than_a_thousand(run) -> None:
    different = set(run.spec.load_corpus().splits["test"].sentences)
    assert sorted(Study(run.spec).chosen) == sorted(different)
    with pytest.raises(CeaeError, match=f"1000 were asked for; the test split of oracle has {len(different)}"):
        _ = Study(run.spec, sentences=1000).rows
    with pytest.raises(CeaeError, match="2 were asked for; .* it takes at least 3"):
        _ = Study(run.spec, sentences=2).rows


def test_resamples_by_scale(run) -> None:
    assert Study(run.spec).draws == agreement.SMOKE_DRAWS and Study(run.spec, draws=8).draws == 8
    assert Study(resolve("vae", scale="quick")).draws == DRAWS


def test_copies_of_a_sentence_count_once_and_keep_the_label_of_the_first(run) -> None:
    study = Study(run.spec)
    study.corpus = Corpus("twice", {"test": Split([("a",), ("b",), ("a",), ("c",)], {})})
    assert sorted(study.rows) == [0, 1, 3]


def test_the_untrained_encoder_is_that_of_the_first_step(study, run) -> None:
    corpus = run.spec.load_corpus()
    started = Training(run.spec, corpus, corpus.vocabulary(), torch.device("cpu"))
    mu, _ = latent.codes(started.model, Encoded(study.chosen, started.vocabulary), torch.device("cpu"))
    assert values(study.of_untrained(run.spec)) == pytest.approx(coefficients(
        upper(similarities(mu.numpy())), upper(study.reference)))


def test_what_stands_beside_the_codes(study) -> None:
    for kind, judge in (("words", sentence_vectors.shared_words(study.chosen)),
                        ("tf-idf", sentence_vectors.shared_words(study.chosen, weighed=True)),
                        ("length", sentence_vectors.alike_in_length(study.chosen))):
        found = study.of_words(kind)
        assert found["parameters"]["judge"] == kind
        assert values(found) == pytest.approx(coefficients(upper(judge), upper(study.reference)))
    same = values(study.of_reading(Reading()))
    assert same == pytest.approx(dict.fromkeys(same, 1.0))
    other = study.of_reading(Reading(0, "cls"))
    assert other["parameters"]["judge"] == "encoder: layer 0, cls" and values(other)["pearson"] is None    # one symbol


def test_labels_are_those_of_the_chosen_sentences(study, run) -> None:
    labels = run.spec.load_corpus().splits["test"].labels
    own = {name: column[study.rows] for name, column in labels.items()}
    shared = sum(np.equal.outer(column, column).astype(float) for column in own.values())
    assert values(study.of_labels()) == pytest.approx(coefficients(upper(shared), upper(study.reference)))
    sentiment = study.of_labels("sentiment")
    assert sentiment["parameters"]["judge"] == "labels sentiment"
    assert values(sentiment) == pytest.approx(coefficients(
        upper(np.equal.outer(own["sentiment"], own["sentiment"]).astype(float)), upper(study.reference)))
    study.corpus.splits["test"] = replace(study.corpus.splits["test"], labels={})
    with pytest.raises(CeaeError, match="corpus oracle has no labels"):
        study.of_labels()


def test_a_result_is_computed_once_and_a_recorded_one_needs_neither_run_nor_encoder(
        study, run, store, tiny_bert, tmp_path, monkeypatch) -> None:
    found = study.of_run(run.spec)
    experiments.record(found, tmp_path / "results")
    monkeypatch.setattr(agreement, "agreement", lambda *_, **__: pytest.fail("computed again"))
    assert study.of_run(run.spec) == found
    elsewhere = Study(run.spec, encoder=str(tiny_bert), draws=8, sentences=40, store=Store(tmp_path / "empty"),
                      results=tmp_path / "results")
    monkeypatch.setattr(agreement, "ensure", lambda *_, **__: pytest.fail("trained"))
    assert elsewhere.of_run(run.spec) == json.loads(json.dumps(found))


def test_minilm_is_named_by_its_published_weights_without_being_loaded(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(SentenceEncoder, "load", lambda source: pytest.fail("loaded"))
    study, asked = Study(run.spec, sentences=10, store=Store(tmp_path)), {}
    monkeypatch.setattr(experiments, "known", lambda name, parameters, **_: asked.update(parameters) or {"id": "x"})
    study.of_words("words")
    assert asked["encoder"] == MINILM and asked["weights"] == "53aa51172d142c89"


def test_runs_that_cannot_be_compared(study, wild_spec) -> None:
    with pytest.raises(CeaeError, match="lstm-lm-.*: a language model has no codes to compare"):
        study.of_run(resolve("lstm-lm", scale="smoke"))
    with pytest.raises(CeaeError, match="its corpus is not that of the study, oracle-"):
        study.of_run(resolve("vae", scale="quick"))
    with pytest.raises(CeaeError, match="it diverged, there are no codes to compare"):
        study.of_run(wild_spec, device="cpu")
