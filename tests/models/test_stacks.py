"""How weights start, tensor by tensor."""

import math

import pytest
import torch
from torch import nn

from ceae_core.models.autoencoder import TextAutoencoder, build
from ceae_core.models.posteriors import Gaussian

HIDDEN, LATENT = 64, 8
DEFAULT = 1 / math.sqrt(HIDDEN)         # PyTorch's bound for LSTMs and for a linear layer that reads 64 numbers


def started(stack: str, init: str, norm: str = "batch") -> TextAutoencoder:
    torch.manual_seed(0)
    return build(lambda h, z, bias: Gaussian(h, z, bias, norm=norm, gamma=0.7), 500, stack=stack, embedding=32,
                 hidden=HIDDEN, latent=LATENT, init=init)


@torch.no_grad()
def fills(weight: torch.Tensor, spread: float) -> bool:
    """Whether the weights look like draws from U(-spread, spread): inside, near both edges, the right variance."""
    inside = float(weight.abs().max()) <= spread
    near_both = float(weight.max()) > 0.9 * spread and float(weight.min()) < -0.9 * spread
    return inside and near_both and abs(float(weight.std()) / (spread / math.sqrt(3)) - 1) < 0.15


def lstm_fills(lstm: nn.LSTM, spread: float) -> bool:
    return all(fills(weight, spread) for weight in lstm.parameters())


@pytest.mark.parametrize(("stack", "init", "encoder", "encoder_words", "decoder", "decoder_words"), [
    ("bn", "stack", DEFAULT, None, 0.01, 0.1), ("ivae", "stack", 0.1, 0.1, 0.1, 0.1),
    ("bn", "narrow", 0.01, 0.1, 0.01, 0.1), ("ivae", "narrow", 0.01, 0.1, 0.01, 0.1)])
def test_published_starts(stack, init, encoder, encoder_words, decoder, decoder_words):
    net = started(stack, init)
    assert lstm_fills(net.encoder.lstm, encoder) and fills(net.posterior.head.weight, encoder)
    assert lstm_fills(net.decoder.lstm, decoder) and fills(net.decoder.output.weight, decoder)
    assert fills(net.decoder.start.weight, decoder) and fills(net.decoder.embedding.weight, decoder_words)
    words = net.encoder.embedding.weight
    assert fills(words, encoder_words) if encoder_words else abs(float(words.detach().std()) - 1) < 0.02
    biased = {"head": net.posterior.head, "start": net.decoder.start, "output": net.decoder.output}
    assert {name: layer.bias is not None for name, layer in biased.items()} == dict.fromkeys(biased, stack == "ivae")


def test_the_wide_start():
    net = started("bn", "wide")
    for side, spread in ((net.encoder, 1.0), (net.decoder, 0.3)):
        assert abs(float(side.embedding.weight.detach().std()) / spread - 1) < 0.02
        into, forget, candidate, out = side.lstm.bias_ih_l0.chunk(4)
        assert torch.equal(forget, torch.ones(HIDDEN))
        assert all(fills(part, DEFAULT) for part in (torch.cat([into, candidate, out]), side.lstm.weight_hh_l0))
    assert fills(net.posterior.head.weight, DEFAULT)


@pytest.mark.parametrize("init", ["stack", "wide", "narrow"])
@pytest.mark.parametrize("stack", ["bn", "ivae"])
def test_no_start_touches_the_frozen_scale(stack: str, init: str):
    norm = started(stack, init).posterior.norm.batch
    assert torch.equal(norm.weight, torch.full((LATENT,), 0.7)) and torch.equal(norm.bias, torch.zeros(LATENT))
