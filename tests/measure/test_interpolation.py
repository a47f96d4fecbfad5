"""Codes of sentences, the line between two of them, and what is decoded on it."""

import numpy as np
import pytest
import torch

from ceae_core import generate
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.measure import interpolation
from ceae_core.models.sphere import Spherical


@pytest.fixture(scope="module")
def sentences(oracle_corpus):
    return oracle_corpus.splits["test"].sentences[:40]


@pytest.mark.parametrize("family", ["vae", "bn-vae", "ae", "ceae", "delta-vae", "vmf-vae", "sa-vae"])
def test_codes_of_explicit_posteriors_are_mu_in_the_order_of_the_sentences(smoke, sentences, family) -> None:
    started = smoke(family)
    found = interpolation.codes(started.model, sentences, started.vocabulary)
    for i in (0, 7, 39):
        alone = started.model.eval().encode(Encoded([sentences[i]], started.vocabulary).batch(np.array([0])))
        torch.testing.assert_close(found[i:i + 1], alone.mu, rtol=1e-5, atol=1e-5)
    if isinstance(started.model.posterior, Spherical):
        torch.testing.assert_close(found.norm(dim=1), torch.ones(40))


def test_codes_of_implicit_posteriors_are_means_of_samples(smoke, sentences, monkeypatch) -> None:
    """With the covariance B B^T of a linear head the mean of n samples is mu with the covariance B B^T / n."""
    started = smoke("ivae")
    model, vocabulary = started.model.eval(), started.vocabulary
    mu = model.encode(Encoded(sentences, vocabulary).batch(np.arange(40))).mu.detach()
    spread = model.posterior.factor().square().sum().item()                 # trace of B B^T
    for draws in (interpolation.DRAWS, 400):
        monkeypatch.setattr(interpolation, "DRAWS", draws)
        error = torch.cat([interpolation.codes(model, sentences, vocabulary, seed) - mu for seed in range(30)])
        found = error.square().sum(1).mean().item()
        assert found == pytest.approx(spread / draws, rel=0.15)              # 1200 sentences, chi-squared of 4 units
    assert torch.equal(interpolation.codes(model, sentences, vocabulary, 3),
                       interpolation.codes(model, sentences, vocabulary, 3))
    assert not torch.equal(interpolation.codes(model, sentences, vocabulary, 3),
                           interpolation.codes(model, sentences, vocabulary, 4))


def test_the_weight_is_that_of_the_first_code() -> None:
    first, second = torch.tensor([[1.0, 0.0], [2.0, 2.0]]), torch.tensor([[0.0, 1.0], [4.0, 0.0]])
    mixed = interpolation.mix(first, second, [0.0, 0.25, 1.0])
    assert mixed.shape == (2, 3, 2)
    torch.testing.assert_close(mixed[:, 0], second)
    torch.testing.assert_close(mixed[:, 2], first)
    torch.testing.assert_close(mixed[:, 1], torch.tensor([[0.25, 0.75], [3.5, 0.5]]))


def test_the_middle_of_two_orthogonal_codes_is_shorter_by_the_square_root_of_two() -> None:
    line = interpolation.Line((("a",), ("b",)), np.array([0.0, 0.5, 1.0]),
                              interpolation.mix(torch.eye(2)[:1], torch.eye(2)[1:], [0.0, 0.5, 1.0])[0], [])
    np.testing.assert_allclose(line.norms, [1.0, 0.5 ** 0.5, 1.0], rtol=1e-6)


def test_grid() -> None:
    np.testing.assert_allclose(interpolation.grid(), np.arange(11) / 10)
    assert interpolation.grid(2).tolist() == [0.0, 1.0]
    with pytest.raises(CeaeError, match="at least 2"):
        interpolation.grid(1)


def test_interpolation_decodes_every_point_greedily(smoke, sentences, monkeypatch) -> None:
    """Ends are reconstructions, points are what their codes decode to, however pairs share batches."""
    started = smoke("ae")
    model, vocabulary = started.model, started.vocabulary
    pairs = list(zip(sentences[0:10:2], sentences[1:10:2], strict=True))
    lines = interpolation.interpolate(model, vocabulary, pairs, interpolation.grid(5), max_length=9)
    rebuilt = generate.reconstruct(model, sentences[:10], vocabulary, max_length=9)
    for i, line in enumerate(lines):
        assert line.pair == pairs[i] and len(line.sentences) == 5 and line.z.shape == (5, 4)
        assert line.sentences[-1] == rebuilt[2 * i] and line.sentences[0] == rebuilt[2 * i + 1]
        assert line.sentences == generate.decode(model, line.z, vocabulary, max_length=9)
        assert max(map(len, line.sentences)) <= 9
    monkeypatch.setattr(generate, "CODES_AT_ONCE", 3)
    again = interpolation.interpolate(model, vocabulary, pairs, interpolation.grid(5), max_length=9)
    for a, b in zip(lines, again, strict=True):
        torch.testing.assert_close(a.z, b.z)


def test_a_language_model_and_an_empty_sentence_are_refused(smoke) -> None:
    started = smoke("lstm-lm")
    with pytest.raises(CeaeError, match="language model has no code"):
        interpolation.codes(started.model, [("a",)], started.vocabulary)
    started = smoke("ae")
    with pytest.raises(CeaeError, match="a sentence is empty"):
        interpolation.codes(started.model, [("a",), ()], started.vocabulary)


def test_typed_sentences(smoke) -> None:
    started = smoke("ae")
    vocabulary = started.vocabulary
    words, unknown = interpolation.read("  the Zebra was zebra great <unk> Zebra .", vocabulary)
    assert words == ("the", "Zebra", "was", "zebra", "great", "<unk>", "Zebra", ".")
    assert unknown == ["Zebra", "zebra"]
    line, unknown = interpolation.between(started.model, vocabulary, "the Zebra was great .", "the tacos , Zebra wow2",
                                          interpolation.grid(3))
    assert unknown == ["Zebra", "wow2"] and len(line.sentences) == 3 and line.pair[1][:2] == ("the", "tacos")
    same, _ = interpolation.between(started.model, vocabulary, "the <unk> was great .", "the tacos , <unk> <unk>",
                                    interpolation.grid(3))
    torch.testing.assert_close(line.z, same.z)


@pytest.mark.parametrize("text, said", [("", "is empty"), (" \t ", "is empty"), ("a </s> b", "</s> is a symbol"),
                                        ("<s> a", "<s> is a symbol"), ("<pad>", "<pad> is a symbol")])
def test_what_is_no_sentence(smoke, text, said) -> None:
    with pytest.raises(CeaeError, match=said):
        interpolation.read(text, smoke("ae").vocabulary)
