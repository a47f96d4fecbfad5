"""The transformer against torch.nn's own layer, a computation by hand, and itself without cache or padding."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from ceae_core import generate
from ceae_core.corpora import Vocabulary
from ceae_core.errors import CeaeError
from ceae_core.models.autoencoder import TextAutoencoder, build
from ceae_core.models.posteriors import Deterministic, Gaussian
from ceae_core.models.transformer import Block, positions

VOCABULARY, WIDTH, LATENT, LAYERS, HEADS, INNER = 17, 12, 3, 2, 3, 10
PAD = 0
SENTENCES = [[1, 5, 9, 4, 2], [1, 7, 2], [1, 2], [1, 16, 15, 14, 13, 12, 11, 2]]


def model(posterior: Callable | None = Gaussian, **options) -> TextAutoencoder:
    torch.manual_seed(3)
    made = build(posterior, VOCABULARY, net="transformer", embedding=WIDTH, hidden=WIDTH, latent=LATENT, layers=LAYERS,
                 heads=HEADS, inner=INNER, **options)
    with torch.no_grad():
        for weight in made.parameters():
            weight.uniform_(-0.8, 0.8)      # far from the start, where every bias and norm matters
    return made.eval()


def padded(sentences: list[list[int]], extra: int = 0) -> torch.Tensor:
    width = max(map(len, sentences)) + extra
    return torch.tensor([s + [PAD] * (width - len(s)) for s in sentences])


def reference(block: Block) -> nn.TransformerEncoderLayer:
    """PyTorch's layer with the weights of `block`."""
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, dropout=0.0, batch_first=True).eval()
    pairs = [(layer.self_attn.in_proj_weight, block.project.weight), (layer.self_attn.in_proj_bias, block.project.bias)]
    for theirs, own in ((layer.self_attn.out_proj, block.out), (layer.linear1, block.widen),
                        (layer.linear2, block.narrow), (layer.norm1, block.attention_norm),
                        (layer.norm2, block.dense_norm)):
        pairs += [(theirs.weight, own.weight), (theirs.bias, own.bias)]
    for theirs, own in pairs:
        theirs.data.copy_(own)
    return layer


@torch.no_grad()
def test_positions_are_their_formula():
    found = positions(3, 4, WIDTH, torch.device("cpu"))
    assert found.shape == (4, WIDTH)
    for row, place in enumerate(range(3, 7)):
        for i in range(WIDTH):
            angle = place / 10_000 ** (2 * (i // 2) / WIDTH)
            assert float(found[row, i]) == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_a_block_is_torchs_layer(causal: bool):
    """Also under masks: PyTorch's are true where a row may *not* look."""
    net, x = model(), torch.randn(3, 6, WIDTH)
    real = torch.tensor([6, 4, 1])
    padding = torch.arange(6) >= real.unsqueeze(1)
    later = torch.ones(6, 6, dtype=torch.bool).triu(1)
    for block in net.encoder.blocks:
        mask = ~(padding[:, None, None, :] | (later if causal else torch.zeros_like(later)))
        found, _ = block(x, mask)
        expected = reference(block)(x, src_mask=later if causal else None, src_key_padding_mask=padding)
        torch.testing.assert_close(found[~padding], expected[~padding])


@torch.no_grad()
def test_the_encoder_is_torchs_stack_read_at_the_start_symbol():
    net, x = model(), padded(SENTENCES)
    words = net.encoder.words.table.weight[x] * math.sqrt(WIDTH) + positions(0, x.size(1), WIDTH, x.device)
    for block in net.encoder.blocks:
        words = reference(block)(words, src_key_padding_mask=x == PAD)
    torch.testing.assert_close(net.encode(x).h, words[:, 0])


@torch.no_grad()
def test_without_a_code_the_decoder_is_torchs_stack():
    net, x = model(posterior=None), padded(SENTENCES)
    words = net.decoder.words.table.weight[x[:, :-1]] * math.sqrt(WIDTH) + positions(0, x.size(1) - 1, WIDTH, x.device)
    mask = nn.Transformer.generate_square_subsequent_mask(x.size(1) - 1)
    for block in net.decoder.blocks:
        words = reference(block)(words, src_mask=mask, is_causal=True)
    logits = words @ net.decoder.words.table.weight.T + net.decoder.bias
    picked = logits.log_softmax(-1).gather(-1, x[:, 1:, None]).squeeze(-1)
    expected = -(picked * (x[:, 1:] != PAD)).sum(1)
    torch.testing.assert_close(net.nll(x, None), expected)


@torch.no_grad()
def test_the_code_is_a_place_to_look_at_and_a_part_of_every_word():
    """One layer, one head, one sentence, by hand."""
    torch.manual_seed(0)
    net = build(Gaussian, VOCABULARY, net="transformer", embedding=4, hidden=4, latent=2, layers=1, heads=1, inner=5,
                init="wide").eval()
    decoder, z, sentence = net.decoder, torch.randn(1, 2), [1, 7, 3, 2]
    block, nll = decoder.blocks[0], 0.0
    slot, added = decoder.memory.weight @ z[0], decoder.along.weight @ z[0]
    words = [decoder.words.table.weight[w] * 2.0 + added + positions(1, 4, 4, z.device)[i]
             for i, w in enumerate(sentence[:-1])]
    for i, target in enumerate(sentence[1:]):
        parts = [block.project.weight @ word + block.project.bias for word in words[:i + 1]]
        query = parts[i][:4]
        keys, values = [slot, *(p[4:8] for p in parts)], [slot, *(p[8:] for p in parts)]
        weights = torch.stack([query @ key / 2.0 for key in keys]).softmax(0)
        seen = sum(w * v for w, v in zip(weights, values, strict=True))
        x = block.attention_norm(words[i] + block.out(seen))
        x = block.dense_norm(x + block.narrow(block.widen(x).relu()))
        nll -= float((decoder.words.table.weight @ x + decoder.bias).log_softmax(0)[target])
    assert float(net.nll(torch.tensor([sentence]), z)) == pytest.approx(nll, abs=1e-5)


@torch.no_grad()
def test_greedy_sentences_are_those_of_whole_passes():
    """Each next word from a pass over all words so far; rows that have ended leave the batch in `generate`."""
    net, z = model(), 3 * torch.randn(12, LATENT)
    words = (f"w{i}" for i in range(VOCABULARY - 4))
    vocabulary = Vocabulary(("<pad>", "<s>", "</s>", "<unk>", *words), pad=0, bos=1, eos=2, unk=3)
    net.decoder.bias[vocabulary.eos] += 2.0             # so that some end early
    made, expected = generate.decode(net, z, vocabulary, max_length=9), []
    for code in z.unsqueeze(1):
        tokens = [vocabulary.bos]
        while len(tokens) < 10:
            features, _ = net.decoder.run(torch.tensor([tokens]), code, net.decoder.begin(1, code))
            logits = net.decoder.logits(features[:, -1])[0]
            logits[[vocabulary.pad, vocabulary.bos]] = -torch.inf
            tokens.append(int(logits.argmax()))
            if tokens[-1] == vocabulary.eos:
                break
        expected.append(vocabulary.decode(tokens[1:]))
    assert made == expected and len({len(sentence) for sentence in made}) > 1


def test_padding_gets_no_gradient():
    """The tables: of the encoder's none; the decoder's is its output layer too, whose softmax reads every row."""
    net = model().train()
    x = padded(SENTENCES)
    net.nll(x, net.encode(x).z).sum().backward()
    assert torch.equal(net.encoder.words.table.weight.grad[PAD], torch.zeros(WIDTH))
    assert float(net.encoder.words.table.weight.grad[1].abs().sum()) > 0


def test_each_dropout_acts_in_training_only():
    x, z = padded(SENTENCES), torch.randn(4, LATENT)
    for option in ("dropout_in", "dropout_out", "dropout_layer"):
        net = model(**{"dropout_in": 0.0, "dropout_out": 0.0, option: 0.5})
        still = net.nll(x, z)
        assert torch.equal(net.nll(x, z), still) and not torch.equal(net.train().nll(x, z), still)
    for option in ("encoder_dropout", "dropout_layer"):
        net = model(Deterministic, **{option: 0.5})
        still = net.encode(x).mu
        assert torch.equal(net.encode(x).mu, still) and not torch.equal(net.train().encode(x).mu, still)


@pytest.mark.parametrize(("init", "linear", "words"), [("stack", 0.02, 0.02), ("wide", 64 ** -0.5, 64 ** -0.5)])
@torch.no_grad()
def test_starts(init: str, linear: float, words: float):
    torch.manual_seed(0)
    net = build(Gaussian, 500, net="transformer", embedding=64, hidden=64, latent=8, layers=1, heads=4, inner=64,
                init=init)
    for side in (net.encoder, net.decoder):
        assert float(side.words.table.weight.std()) == pytest.approx(words, rel=0.05)
        block = side.blocks[0]
        for layer in (block.project, block.out, block.widen, block.narrow):
            assert float(layer.weight.std()) == pytest.approx(linear, rel=0.05) and not layer.bias.any()
        assert torch.equal(block.dense_norm.weight, torch.ones(64))
    assert float(net.posterior.head.weight.std()) == pytest.approx(linear, rel=0.1)
    inputs = 0.02 if init == "stack" else 8 ** -0.5
    assert float(net.decoder.memory.weight.std()) == pytest.approx(inputs, rel=0.1)


@pytest.mark.parametrize(("changes", "message"), [
    ({"embedding": 8}, "embedding: a transformer has one width"), ({"heads": 5}, "heads: 5 do not divide the width 12"),
    ({"skip": True}, "skip: every layer"), ({"init": "narrow"}, "init: 'narrow'"), ({"net": "gru"}, "net.*'gru'")])
def test_what_a_transformer_cannot_be(changes: dict, message: str):
    usual = {"net": "transformer", "embedding": WIDTH, "hidden": WIDTH, "heads": HEADS, "layers": 1}
    with pytest.raises(CeaeError, match=message):
        build(Gaussian, VOCABULARY, **usual | changes)
