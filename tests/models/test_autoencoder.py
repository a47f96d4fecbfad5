"""The autoencoder against a cell-by-cell computation, one sentence at a time and without padding."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from ceae_core.errors import CeaeError
from ceae_core.models import output
from ceae_core.models.autoencoder import TextAutoencoder, build, lengths
from ceae_core.models.posteriors import Deterministic, Gaussian

VOCABULARY, EMBEDDING, HIDDEN, LATENT = 17, 5, 6, 3
PAD, BOS, EOS = 0, 1, 2
SENTENCES = [[1, 5, 9, 4, 2], [1, 7, 2], [1, 2], [1, 16, 15, 14, 13, 12, 11, 2]]


SIZES = {"lstm": {"embedding": EMBEDDING}, "transformer": {"embedding": HIDDEN, "layers": 2, "heads": 3, "inner": 7}}


def model(stack: str = "bn", posterior: Callable | None = Gaussian, net: str = "lstm", **options) -> TextAutoencoder:
    torch.manual_seed(3)
    made = build(posterior, VOCABULARY, net=net, stack=stack, hidden=HIDDEN, latent=LATENT, **SIZES[net], **options)
    with torch.no_grad():
        for weight in made.parameters():
            weight.uniform_(-0.8, 0.8)      # far from the start, where every gate and bias matters
    return made.eval()


def padded(sentences: list[list[int]], extra: int = 0) -> torch.Tensor:
    width = max(map(len, sentences)) + extra
    return torch.tensor([s + [PAD] * (width - len(s)) for s in sentences])


def cell(lstm: nn.LSTM, word: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of an LSTM (hochreiter1997long), from its equations."""
    gates = lstm.weight_ih_l0 @ word + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
    into, forget, candidate, out = gates.split(lstm.hidden_size)
    c = forget.sigmoid() * c + into.sigmoid() * candidate.tanh()
    return out.sigmoid() * c.tanh(), c


def naive_nll(decoder: nn.Module, sentence: list[int], z: torch.Tensor | None, stack: str, skip: bool) -> float:
    """-log p(x|z): the words after `<s>`, each from the softmax of its own step."""
    h = c = torch.zeros(HIDDEN)
    if z is not None:
        weight, bias = decoder.start.weight, decoder.start.bias
        if stack == "bn":
            c = weight @ z
            h = torch.tanh(c)
        else:
            h = weight @ z + bias
    nll = 0.0
    for word, target in zip(sentence[:-1], sentence[1:], strict=True):
        x = decoder.embedding.weight[word]
        h, c = cell(decoder.lstm, x if z is None else torch.cat([x, z]), h, c)
        logits = decoder.output.weight @ (torch.cat([h, z]) if skip else h)
        if decoder.output.bias is not None:
            logits = logits + decoder.output.bias
        nll -= math.log(math.exp(logits[target]) / sum(math.exp(v) for v in logits))
    return nll


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("stack", ["bn", "ivae"])
@torch.no_grad()
def test_the_decoder_is_its_equations(stack: str, skip: bool):
    net = model(stack, skip=skip)
    assert (net.decoder.start.bias is None) == (net.decoder.output.bias is None) == (stack == "bn")
    z = torch.randn(len(SENTENCES), LATENT)
    expected = [naive_nll(net.decoder, s, z[i], stack, skip) for i, s in enumerate(SENTENCES)]
    assert net.nll(padded(SENTENCES), z).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("stack", ["bn", "ivae"])
@torch.no_grad()
def test_a_language_model_starts_from_zeros_and_sees_no_code(stack: str):
    net = model(stack, posterior=None)
    assert net.encoder is None and net.encode(padded(SENTENCES)) is None
    expected = [naive_nll(net.decoder, s, None, stack, False) for s in SENTENCES]
    assert net.nll(padded(SENTENCES), None).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", SIZES)
@torch.no_grad()
def test_slices_of_the_output_layer_change_nothing(kind: str, monkeypatch):
    net, x, z = model(net=kind), padded(SENTENCES), torch.randn(4, LATENT)
    whole = net.nll(x, z)
    monkeypatch.setattr(output, "ROWS_AT_ONCE", 3)
    torch.testing.assert_close(net.nll(x, z), whole)


@pytest.mark.parametrize("options", [{"stack": "bn", "skip": True}, {"stack": "ivae", "skip": True},
                                     {"net": "transformer"}, {"net": "transformer", "posterior": None}])
@torch.no_grad()
def test_step_by_step_decoding_gives_the_same_likelihood(options: dict):
    """So the keys and values that a transformer keeps are those of a whole pass."""
    net = model(**options)
    z = torch.randn(1, LATENT) if net.posterior else None
    for sentence in SENTENCES:
        state, nll = net.decoder.begin(1, z), 0.0
        for word, target in zip(sentence[:-1], sentence[1:], strict=True):
            logits, state = net.decoder.step(torch.tensor([word]), z, state)
            nll -= float(logits.log_softmax(-1)[0, target])
        assert nll == pytest.approx(float(net.nll(padded([sentence]), z)), abs=1e-4)


@torch.no_grad()
def test_the_end_symbol_counts_and_the_start_symbol_does_not():
    """With equal logits every predicted token costs log V: n words and the end, n + 1 in all."""
    net = model()
    net.decoder.output.weight.zero_()
    expected = [(len(s) - 1) * math.log(VOCABULARY) for s in SENTENCES]
    assert net.nll(padded(SENTENCES), torch.randn(4, LATENT)).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("posterior", [Gaussian, Deterministic, partial(Gaussian, norm="batch", gamma=0.7)])
@torch.no_grad()
def test_padding_and_company_change_nothing(posterior: Callable, kind: str):
    """A sentence has the same code and likelihood alone, in a batch, and with more padding."""
    net, z = model(posterior=posterior, net=kind, encoder_dropout=0.4), torch.randn(len(SENTENCES), LATENT)
    together, wider = padded(SENTENCES), padded(SENTENCES, extra=5)
    torch.testing.assert_close(net.encode(wider).mu, net.encode(together).mu)
    torch.testing.assert_close(net.nll(wider, z), net.nll(together, z))
    for i, sentence in enumerate(SENTENCES):
        alone = padded([sentence])
        torch.testing.assert_close(net.encode(alone).mu[0], net.encode(together).mu[i])
        torch.testing.assert_close(net.nll(alone, z[i:i + 1])[0], net.nll(together, z)[i])


def test_padding_gets_no_gradient():
    net = model().train()
    x = padded(SENTENCES)
    net.nll(x, net.encode(x).z).sum().backward()
    for embedding in (net.encoder.embedding, net.decoder.embedding):
        assert torch.equal(embedding.weight.grad[PAD], torch.zeros(EMBEDDING))
        assert float(embedding.weight.grad[BOS].abs().sum()) > 0


@torch.no_grad()
def test_the_encoder_reads_to_the_end_symbol():
    net = model()
    encoder = net.encoder
    for i, sentence in enumerate(SENTENCES):
        h = c = torch.zeros(HIDDEN)
        for word in sentence:
            h, c = cell(encoder.lstm, encoder.embedding.weight[word], h, c)
        torch.testing.assert_close(net.encode(padded(SENTENCES)).h[i], h)


def test_lengths_count_every_real_token():
    assert lengths(padded(SENTENCES, extra=2)).tolist() == [5, 3, 2, 8]


def test_dropout_acts_in_training_only():
    x, z = padded(SENTENCES), torch.randn(4, LATENT)
    for option in ("dropout_in", "dropout_out"):
        net = model(**{"dropout_in": 0.0, "dropout_out": 0.0, option: 0.5})
        still = net.nll(x, z)
        assert torch.equal(net.nll(x, z), still)
        assert not torch.equal(net.train().nll(x, z), still)
    net = model(posterior=Deterministic, encoder_dropout=0.5)
    still = net.encode(x).mu
    assert torch.equal(net.encode(x).mu, still) and not torch.equal(net.train().encode(x).mu, still)


@torch.no_grad()
def test_word_dropout_leaves_the_code_alone():
    """With every word embedding dropped, outputs no longer depend on the words but still on the z at each step."""
    net = model(dropout_in=1.0).train()
    x = padded([SENTENCES[0], [1, 8, 3, 6, 2]])
    z = torch.randn(1, LATENT).expand(2, -1)
    same_start = net.decoder.begin(2, None)
    features, _ = net.decoder.run(x[:, :-1], z, same_start)
    opposite, _ = net.decoder.run(x[:, :-1], -z, same_start)
    torch.testing.assert_close(features[0], features[1])
    assert float((features - opposite).abs().min()) > 1e-6


@pytest.mark.parametrize(("option", "value"), [("stack", "gru"), ("init", "xavier")])
def test_unknown_wirings_are_refused(option: str, value: str):
    with pytest.raises(CeaeError, match=f"{option}.*'{value}'"):
        build(Gaussian, VOCABULARY, embedding=4, hidden=4, latent=2, **{option: value})
