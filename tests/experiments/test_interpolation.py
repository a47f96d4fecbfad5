"""Lines of a finished run: pairs, scores, what is kept with the project."""

import json

import numpy as np
import pytest

from ceae_core import generate
from ceae_core.corpora.corpus import Split
from ceae_core.critics.scores import Scores
from ceae_core.errors import CeaeError
from ceae_core.execute import obtain
from ceae_core.experiments import interpolation
from ceae_core.measure import sentiment
from ceae_core.measure.smoothness import Course
from ceae_core.spec import resolve


class WordCritic:
    """A stand-in: two nats for every word and for the end."""

    name, settings = "words", {"nats": 2}

    def score(self, sentences):
        words = np.array([len(sentence) + 1 for sentence in sentences])
        return Scores(2.0 * words, words, words, 0 * words, 0.0 * words)


@pytest.fixture(scope="module")
def run(store):
    return obtain(resolve("bn-vae", scale="smoke", set={"epochs": 1, "iw_samples": 2, "iw_sentences": 2}), store)


@pytest.fixture(scope="module")
def splits(run):
    return run.spec.load_corpus().splits


@pytest.fixture(scope="module")
def found(run, splits):
    return interpolation.lines(run, splits, WordCritic(), pairs=3, steps=5, seed=1)


def test_pairs_have_their_kind_and_share_no_sentence(splits) -> None:
    pairs = interpolation.draw_pairs(splits["test"], 8, seed=1)
    assert {kind: len(group) for kind, group in pairs.items()} == dict.fromkeys(interpolation.KINDS, 8)
    label = dict(zip(splits["test"].sentences, splits["test"].labels["sentiment"], strict=True))
    for kind, group in pairs.items():
        for ends in group:
            assert "-".join({"pos": "positive", "neg": "negative"}[label[end]] for end in ends) == kind
    used = [end for group in pairs.values() for pair in group for end in pair]
    assert len(set(used)) == len(used) == 48
    assert interpolation.draw_pairs(splits["test"], 8, seed=1) == pairs
    assert interpolation.draw_pairs(splits["test"], 8, seed=2) != pairs


def test_pairs_without_labels_and_without_enough_sentences() -> None:
    split = Split([(word,) for word in "abcdabcd"], {})
    (kind, pairs), = interpolation.draw_pairs(split, 2, 0).items()
    assert kind == interpolation.UNLABELLED and sorted(end for pair in pairs for end, in pair) == list("abcd")
    with pytest.raises(CeaeError, match="3 pairs of each kind need 6 different positive test sentences, there are 4"):
        interpolation.draw_pairs(split, 3, 0)


def test_a_sentence_with_both_labels_is_used_once() -> None:
    split = Split([("a",), ("b",), ("a",), ("c",)] + [(w,) for w in "defghi"],
                  {"sentiment": np.array([1, 0, 0, 0] + [1, 1, 0, 1, 0, 0])})
    pairs = interpolation.draw_pairs(split, 1, 0)
    used = [end for group in pairs.values() for pair in group for end in pair]
    assert len(set(used)) == 6


def test_what_is_decoded_and_its_course(found, run, splits) -> None:
    assert found["weights"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [line["kind"] for line in found["lines"]] == [kind for kind in interpolation.KINDS for _ in range(3)]
    line = found["lines"][4]
    ends = [tuple(line[key].split()) for key in ("second", "first")]
    rebuilt = generate.reconstruct(run.model(), ends, run.vocabulary())
    assert [line["sentences"][0], line["sentences"][-1]] == [" ".join(sentence) for sentence in rebuilt]
    course = Course.of([text.split() for text in line["sentences"]], (ends[0], ends[1]))
    assert Course(**line["course"]) == course
    assert set(ends) < set(splits["test"].sentences)


def test_scores_belong_to_their_sentence(found, splits) -> None:
    positive = sentiment.is_positive(splits["train"])
    of_texts = sentiment.of_texts(splits["train"].sentences, positive)
    for line in (found["lines"][0], found["lines"][-1]):
        texts = [text.split() for text in line["sentences"]]
        sources = [line["first"].split(), line["second"].split()]
        np.testing.assert_allclose(line["scores"]["text"], of_texts(texts), atol=1e-4)
        np.testing.assert_allclose(line["scores"]["text_sources"], of_texts(sources), atol=1e-4)
        truth = [None if np.isnan(p) else round(float(p), 4) for p in sentiment.of_grammar(texts)]
        assert line["scores"]["truth"] == truth
        assert line["scores"]["code_sources"] == [line["scores"]["code"][-1], line["scores"]["code"][0]]
        assert line["words"] == [len(text) + 1 for text in texts]
        assert line["nats"] == [2.0 * words for words in line["words"]]


def test_norms_of_codes_and_of_the_prior(found, run) -> None:
    """The prior is N(0, I) in four dimensions: its mean norm is sqrt(2) G(2.5) / G(2) = 1.880."""
    assert found["prior_norm"] == pytest.approx(1.880, abs=0.03)
    for line in found["lines"]:
        first, *_, last = line["norms"]
        assert all(norm <= max(first, last) + 1e-4 for norm in line["norms"])       # a norm is convex on a line


def test_it_is_stored_by_what_it_depends_on(run, store) -> None:
    content = interpolation.obtain(run, store=store, pairs=2, steps=3)
    assert content["parameters"] == {"run_id": run.id, "pairs": 2, "steps": 3, "seed": 1, "critic": "oracle"}
    assert content["result"]["critic"]["name"] == "oracle"
    path = store.root / "experiments" / f"{content['id']}.json"
    before = path.read_bytes()
    assert interpolation.obtain(run, store=store, pairs=2, steps=3) == content and path.read_bytes() == before
    path.write_text(path.read_text()[:100])
    assert interpolation.obtain(run, store=store, pairs=2, steps=3)["result"] == content["result"]


def test_a_five_gram_model_where_there_is_no_grammar(run, store) -> None:
    content = interpolation.obtain(run, store=store, pairs=2, steps=3, critic="ngram")
    assert content["result"]["critic"]["name"] == "ngram"
    assert all(nats > 0 for line in content["result"]["lines"] for nats in line["nats"])
    with pytest.raises(CeaeError, match="critic: unknown value 'gpt9'"):
        interpolation.obtain(run, store=store, critic="gpt9")
    assert interpolation.usual(resolve("ae", scale="smoke"))["critic"] == "oracle"


def test_runs_without_codes(store) -> None:
    short = {"epochs": 1, "iw_samples": 2, "iw_sentences": 2}
    with pytest.raises(CeaeError, match="a language model has no codes"):
        interpolation.obtain(obtain(resolve("lstm-lm", scale="smoke", set=short), store), store=store)
    diverged = obtain(resolve("ae", scale="smoke", set=short | {"lr": 1e30, "optimiser": "sgd"}), store)
    assert diverged.status == "diverged"
    with pytest.raises(CeaeError, match="it diverged, there are no codes"):
        interpolation.obtain(diverged, store=store)


def test_no_sentence_of_another_corpus_is_kept_with_the_project(run, store, tmp_path) -> None:
    own = interpolation.obtain(run, store=store, pairs=2, steps=3)
    kept = json.loads(interpolation.record(own, tmp_path).read_text())["result"]["lines"]
    assert kept[0] == own["result"]["lines"][0] and kept[1]["first"] is kept[1]["sentences"] is None
    assert kept[1]["scores"] == own["result"]["lines"][1]["scores"]
    other = interpolation.obtain(run, store=store, pairs=2, steps=3, critic="ngram")
    kept = json.loads(interpolation.record(other, tmp_path).read_text())["result"]["lines"]
    assert all(line["first"] is None and line["second"] is None for line in kept)
    assert [line["sentences"] is not None for line in kept] == [True, False] * 3
    assert [line["course"] for line in kept] == [line["course"] for line in other["result"]["lines"]]
    assert other["result"]["lines"][1]["sentences"] is not None             # what was obtained stays as it is
