"""Vectors of an encoder by layer and pooling, against transformers used naively; similarities without training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ceae_core.errors import CeaeError
from ceae_core.measure import sentence_vectors
from ceae_core.measure.sentence_vectors import LAST, Reading, SentenceEncoder
from ceae_core.pretrained import load

SENTENCES = [tuple(text.split()) for text in (
    "the tacos were great .", "we hate the soup !", "great", "the waiter was rude and the soup was cold .")]


@pytest.fixture(scope="module")
def loaded(tiny_bert):
    return load(str(tiny_bert), "encoder", "test")


@pytest.fixture(scope="module")
def encoder(loaded):
    return SentenceEncoder(loaded)


def alone(loaded, sentence) -> tuple:
    """Hidden states (L + 1, T, W) and pooler (W,) of one sentence, not padded."""
    with torch.no_grad():
        out = loaded.model(**loaded.tokenizer(" ".join(sentence), return_tensors="pt"), output_hidden_states=True)
    return torch.stack(out.hidden_states)[:, 0].numpy(), out.pooler_output[0].numpy()


@pytest.mark.parametrize("layer", [0, 1, 2, LAST])
def test_each_layer_and_pooling_of_a_batch_is_that_of_the_sentence_alone(encoder, loaded, layer) -> None:
    """So padding counts nowhere; the mean is over all tokens, the two special ones included."""
    for pooling in ("mean", "cls"):
        found = encoder.vectors(SENTENCES, Reading(layer, pooling))
        for sentence, vector in zip(SENTENCES, found, strict=True):
            states = alone(loaded, sentence)[0][-1 if layer == LAST else layer]
            np.testing.assert_allclose(vector, states.mean(0) if pooling == "mean" else states[0], atol=1e-5)
    assert encoder.layers == 2 and found.shape == (4, 16)


def test_the_pooler_stands_on_the_last_layer(encoder, loaded) -> None:
    found = encoder.vectors(SENTENCES, Reading(pooling="pooler"))
    np.testing.assert_allclose(found, [alone(loaded, sentence)[1] for sentence in SENTENCES], atol=1e-5)


def test_a_pooler_that_was_not_trained_is_not_used(loaded) -> None:
    without = SentenceEncoder(replace(loaded, drawn=("pooler.dense.weight",)))
    with pytest.raises(CeaeError, match="has no trained pooler; choose mean or cls"):
        without.vectors(SENTENCES, Reading(pooling="pooler"))
    assert without.vectors(SENTENCES, Reading()).shape == (4, 16)


def test_the_unknown_word_is_that_of_the_encoder(encoder) -> None:
    sentences = [("the", "<unk>", "were", "_UNK")]
    assert encoder.texts(sentences) == ("the [UNK] were _UNK",)
    assert encoder.texts(sentences, ["_UNK"]) == ("the [UNK] were [UNK]",)


def test_long_sentences_are_cut_and_counted(encoder, loaded) -> None:
    most = loaded.model.config.max_position_embeddings
    sentences = [("great",) * (most + 40), ("great",) * (most + 80), ("great",)]
    assert encoder.cut(sentences) == 2
    first, second, short = encoder.vectors(sentences, Reading())
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert np.abs(first - short).max() > 1e-3


def test_the_order_of_the_sentences_is_kept_and_they_are_encoded_once(encoder, monkeypatch) -> None:
    monkeypatch.setattr(sentence_vectors, "SENTENCES_AT_ONCE", 2)
    encoder.vectors(SENTENCES[:1], Reading())                                   # forgets the others
    found = encoder.vectors(SENTENCES[::-1], Reading())
    monkeypatch.setattr(encoder.model, "forward", lambda *_, **__: pytest.fail("encoded twice"))
    again = encoder.vectors(SENTENCES[::-1], Reading(LAST, "cls"))
    assert again.shape == found.shape
    monkeypatch.undo()
    np.testing.assert_allclose(encoder.vectors(SENTENCES, Reading())[::-1], found, atol=1e-5)


@pytest.mark.parametrize("layer, pooling, said", [
    ("top", "mean", "layer: 'top' is neither a layer number .* nor last"), ("-1", "mean", "neither a layer number"),
    ("last", "max", "pooling: unknown value 'max'; choose mean, cls, pooler"),
    (1, "pooler", "the pooler stands on the last layer")])
def test_readings_that_do_not_exist(layer, pooling, said) -> None:
    with pytest.raises(CeaeError, match=said):
        Reading.parse(layer, pooling)


def test_a_layer_that_the_encoder_does_not_have(encoder) -> None:
    assert Reading.parse("2") == Reading(2, "mean") and str(Reading.parse("last", "cls")) == "last layer, cls"
    with pytest.raises(CeaeError, match=r"tiny-bert has no layer 3; choose 0 \(word embeddings\) to 2"):
        encoder.vectors(SENTENCES, Reading(3))


def test_an_encoder_without_padding_says_so(tiny_gpt2) -> None:
    with pytest.raises(CeaeError, match="tokenizer of tiny-gpt2 has no padding symbol; take a BERT-type one"):
        SentenceEncoder.load(str(tiny_gpt2)).vectors(SENTENCES, Reading())


def test_shared_words_and_their_weights() -> None:
    sentences = [("a", "b", "b"), ("b", "A"), ("c",)]
    np.testing.assert_array_equal(sentence_vectors.shared_words(sentences), [[5, 2, 0], [2, 2, 0], [0, 0, 1]])
    weight = {word: np.log(4 / (1 + df)) + 1 for word, df in {"a": 1, "b": 2, "A": 1, "c": 1}.items()}
    first, second = np.array([weight["a"], 2 * weight["b"]]), np.array([weight["A"], weight["b"]])
    shared = first[1] * second[1] / np.linalg.norm(first) / np.linalg.norm(second)
    np.testing.assert_allclose(sentence_vectors.shared_words(sentences, weighed=True),
                               [[1, shared, 0], [shared, 1, 0], [0, 0, 1]])


def test_likeness_in_length_and_in_labels() -> None:
    np.testing.assert_array_equal(sentence_vectors.alike_in_length([("a",), ("a", "b", "c"), ("d", "e")]),
                                  [[0, -2, -1], [-2, 0, -1], [-1, -1, 0]])
    np.testing.assert_array_equal(sentence_vectors.shared_labels([[1, 1, 0], ["x", "y", "y"]]),
                                  [[2, 1, 0], [1, 2, 1], [0, 1, 2]])
