"""Probes of finished runs: what is encoded, which labels, what is kept."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from ceae_core import corpora
from ceae_core.corpora import table
from ceae_core.corpora.batching import Encoded
from ceae_core.corpora.corpus import Split
from ceae_core.errors import CeaeError
from ceae_core.execute import obtain
from ceae_core.experiments import probe
from ceae_core.experiments.probe import Design
from ceae_core.measure import few_labels
from ceae_core.measure import probe as classifiers
from ceae_core.measure.probe import Labelled, Protocol

DESIGN = Design((20, 60), 2, protocol=Protocol(epochs=3))


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run("bn-vae")


@pytest.fixture(scope="module")
def splits(run):
    return run.spec.load_corpus().splits


def test_the_usual_design_is_the_papers_table() -> None:
    design = probe.usual("quick")
    assert (design.counts, design.seeds, design.protocol) == ((100, 500, 1000, 2000, 10_000), 10, Protocol())
    assert max(probe.usual("smoke").counts) <= 1000
    for bad in ({"counts": ()}, {"seeds": 0}):
        with pytest.raises(CeaeError, match="at least one"):
            Design(**bad)


def test_codes_are_means_of_the_posterior(run, splits) -> None:
    sentences = splits["test"].sentences[:7]
    found = probe.codes(run, sentences, False, "cpu")
    model = run.model().eval()
    data = Encoded(sentences, run.vocabulary())
    for i in range(7):
        torch.testing.assert_close(found[i:i + 1], model.encode(data.batch(np.array([i]))).mu, rtol=1e-4, atol=1e-5)


def test_the_untrained_encoder_is_the_one_training_starts_from(run, splits, smoke) -> None:
    sentences = splits["test"].sentences[:5]
    start = smoke("bn-vae").model.eval()
    with torch.no_grad():
        expected = start.encode(Encoded(sentences, run.vocabulary()).batch(np.arange(5))).mu
    found = probe.codes(run, sentences, True, "cpu")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, probe.codes(run, sentences, False, "cpu"), atol=1e-3)


@pytest.mark.parametrize("standardised", [False, True])
def test_what_is_measured_is_a_classifier_of_codes(run, splits, standardised) -> None:
    design = replace(DESIGN, standardised=standardised)
    found = probe.measure(run, splits, "oracle", design)
    assert (found["label"], found["classes"], found["unknown_words_percent"]) == ("sentiment", ["neg", "pos"],
                                                                                  pytest.approx(0, abs=2))
    assert found["sentences"] == {"train": 1200, "valid": 200, "test": 200}
    assert [each["labels"] for each in found["counts"]] == [20, 60]
    y = {name: torch.from_numpy((split.labels["sentiment"] == "pos").astype(int)) for name, split in splits.items()}
    x = {name: probe.codes(run, split.sentences, False, "cpu") for name, split in splits.items()}
    if standardised:
        x = {name: (values - x["train"].mean(0)) / x["train"].std(0) for name, values in x.items()}
    data = {name: Labelled(x[name], y[name]) for name in splits}
    rows = torch.stack([torch.from_numpy(few_labels.choose(y["train"].numpy(), 60, seed)) for seed in (1, 2)])
    made = classifiers.train(data["train"], rows, data["valid"], [1, 2], 2, design.protocol)
    assert found["counts"][1]["accuracy_percent"] == pytest.approx((100 * made.accuracy(data["test"])).tolist(), abs=.6)
    assert found["counts"][1]["valid_loss_nats"] == pytest.approx(made.valid_loss.tolist(), abs=1e-3)
    assert all(len(each[key]) == 2 for each in found["counts"] for key in ("accuracy_percent", "best_epoch", "epochs"))


def test_what_it_is_compared_with(splits) -> None:
    found = probe.compare_with(splits, "oracle", replace(DESIGN, counts=(200,)))
    positive = splits["test"].labels["sentiment"] == "pos"
    share = 100 * positive.mean()
    assert found["majority_percent"] in (pytest.approx(share), pytest.approx(100 - share))
    assert found["best_percent"] >= 95 and found["best_expected_percent"] >= 95
    assert all(55 < value < found["best_percent"] for value in found["counts"][0]["accuracy_percent"])
    train = set(splits["train"].sentences)
    seen = np.mean([sentence in train for sentence in splits["test"].sentences])
    assert found["seen_percent"] == pytest.approx(100 * seen, abs=1e-3)
    other = probe.compare_with(splits, "somewhere", replace(DESIGN, counts=(200,), draw="first"))
    assert other["best_percent"] is None and len(set(other["counts"][0]["accuracy_percent"])) == 1


def test_results_are_kept_and_found_by_what_was_asked(run, store, tmp_path) -> None:
    made, = probe.obtain([run], DESIGN, store=store)
    again, = probe.obtain([run], DESIGN, store=store)
    assert again == made and probe.known(run.spec, DESIGN, store=store, results=tmp_path) == made
    for other in (replace(DESIGN, seeds=3), replace(DESIGN, standardised=True), replace(DESIGN, balanced=True),
                  replace(DESIGN, protocol=Protocol("linear", epochs=3)), replace(DESIGN, label="style")):
        assert probe.known(run.spec, other, store=store, results=tmp_path) is None
    assert probe.known(run.spec, DESIGN, untrained=True, store=store, results=tmp_path) is None
    against = probe.baselines(run, DESIGN, store=store, results=tmp_path)
    assert probe.baselines(run, DESIGN, store=store, results=tmp_path) == against


def test_several_runs_side_by_side_are_the_same_as_alone(run, store, tiny_run) -> None:
    second = tiny_run("ae")
    design = replace(DESIGN, counts=(15,))
    both = probe.obtain([run, second], design, store=store)
    assert [each["parameters"]["run_id"] for each in both] == [run.id, second.id]
    splits = second.spec.load_corpus().splits
    assert probe.measure(second, splits, "oracle", design) == both[1]["result"]


def test_runs_without_codes(store, tiny_run, wild_spec) -> None:
    model = tiny_run("lstm-lm")
    with pytest.raises(CeaeError, match="a language model has no codes to probe"):
        probe.obtain([model], DESIGN, store=store)
    diverged = obtain(wild_spec, store)
    with pytest.raises(CeaeError, match="diverged"):
        probe.obtain([diverged], DESIGN, store=store)


@pytest.fixture
def yelp(tmp_path, monkeypatch):
    """A data folder with small labelled files in the place of short-yelp's, but for its training split."""
    drawn = corpora.oracle.default().sample(300, 9)
    parts = {}
    for name, rows in {"train.10000": range(100), "valid": range(100, 200), "test": range(200, 300)}.items():
        path = tmp_path / f"short-yelp/short_yelp.{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{int(drawn.labels['sentiment'][i] == 'pos')}\t{' '.join(drawn.sentences[i])} zebra\n"
                                for i in rows))
        content = path.read_bytes()
        parts[name] = table.File(f"short-yelp/{path.name}", "0" * 40, hashlib.sha256(content).hexdigest(), (), True)
    entry = table.CORPORA["short-yelp-10k"]
    made = {split: table.Part((parts[name],), 100) for split, name in (
        ("train", "train.10000"), ("valid", "valid"), ("test", "test"))}
    monkeypatch.setitem(table.CORPORA, "short-yelp-10k", replace(entry, splits=made))
    return tmp_path


def test_labels_of_another_corpus(run, yelp, tmp_path, capsys) -> None:
    """Where the training split of short-yelp is missing its published labelled part stands in, and that is said."""
    where = probe.source(run, "short-yelp", str(yelp))
    assert where.corpus == "short-yelp-10k" and where.spec is None
    assert "short-yelp: its training split is not here" in capsys.readouterr().err
    found = probe.measure(run, where.load(), where.corpus, replace(DESIGN, draw="first", counts=(50,)))
    words = [word for split in where.load().values() for sentence in split.sentences for word in sentence]
    known = run.vocabulary().index
    assert found["unknown_words_percent"] == pytest.approx(
        100 * np.mean([word not in known for word in words]), abs=1e-3) and found["unknown_words_percent"] > 5
    assert found["classes"] == ["0", "1"] and found["sentences"]["train"] == 100
    with pytest.raises(CeaeError, match="101 labelled sentences are asked for, there are 100"):
        probe.measure(run, where.load(), where.corpus, replace(DESIGN, counts=(101,)))


def test_a_corpus_that_is_not_there(run, tmp_path) -> None:
    with pytest.raises(CeaeError, match="short-yelp-10k needs .*train.10000"):
        probe.source(run, "short-yelp", str(tmp_path))


def test_a_corpus_without_labels(run) -> None:
    plain = {name: Split([("a",)], {}) for name in ("train", "valid", "test")}
    with pytest.raises(CeaeError, match="corpus ptb has no labels"):
        probe.measure(run, plain, "ptb", DESIGN)
