"""Pretrained networks against transformers' own models, a computation by hand, and themselves without cache."""

import math
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from ceae_core import generate, pretrained
from ceae_core.corpora import Vocabulary, oracle
from ceae_core.corpora.vocabulary import build
from ceae_core.errors import CeaeError
from ceae_core.models import autoencoder, optimus
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.posteriors import Deterministic, Gaussian
from ceae_core.pretrained import Pretrained

LATENT, WIDTH = 3, 12
SENTENCES = [*oracle.default().sample(20, 5).sentences, ("<unk>", "unheard-of"), ()]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return build(SENTENCES, "bn")


@pytest.fixture
def bert(tiny_bert: Path) -> Pretrained:
    return pretrained.load(tiny_bert, "encoder", "test", may_lack="pooler")


@pytest.fixture
def gpt2(tiny_gpt2: Path) -> Pretrained:
    return pretrained.load(tiny_gpt2, "causal", "test")


def batch(vocabulary: Vocabulary, sentences: list = SENTENCES, extra: int = 0) -> torch.Tensor:
    rows = [vocabulary.encode(s) for s in sentences]
    width = max(map(len, rows)) + extra
    return torch.tensor([row + [vocabulary.pad] * (width - len(row)) for row in rows])


def scratch(vocabulary: Vocabulary, latent: int = LATENT) -> optimus.GptDecoder:
    torch.manual_seed(0)
    sizes = {"width": WIDTH, "layers": 2, "heads": 3, "inner": 20, "init": "wide", "dropout_in": 0, "dropout_layer": 0}
    return optimus.scratch(len(vocabulary), latent, **sizes).eval()


def model(vocabulary: Vocabulary, encoder: optimus.BertEncoder | None, decoder: optimus.GptDecoder,
          posterior: Callable | None = Gaussian) -> TextAutoencoder:
    torch.manual_seed(1)
    return autoencoder.build(posterior, len(vocabulary), net="pretrained", latent=LATENT, init="wide",
                             networks=(encoder, decoder)).eval()


# encoder ----------------------------------------------------------------------------------------------------------

@torch.no_grad()
def test_the_encoder_is_the_checkpoint_read_by_its_pooler(vocabulary: Vocabulary, bert: Pretrained, tiny_bert: Path):
    """With the embeddings of all its word pieces, on text, padded by its own tokenizer."""
    from transformers import AutoModel
    whole = AutoModel.from_pretrained(tiny_bert).eval()
    texts = [" ".join("[UNK]" if word == "<unk>" else word for word in s) for s in SENTENCES]
    expected = whole(**bert.tokenizer(texts, padding=True, return_tensors="pt")).pooler_output
    made = optimus.encoder(bert, vocabulary).eval()
    x = batch(vocabulary, extra=3)
    torch.testing.assert_close(made(x, autoencoder.lengths(x)), expected)
    assert made.width == whole.config.hidden_size
    assert len(made.body.embeddings.word_embeddings.weight) < whole.config.vocab_size


def test_only_the_upper_layers_are_tuned(vocabulary: Vocabulary, bert: Pretrained, tiny_bert: Path):
    """The rest has no gradient, and no dropout either."""
    made = optimus.encoder(bert, vocabulary, tuned=1)
    frozen = {name for name, weight in made.named_parameters() if not weight.requires_grad}
    assert frozen == {name for name, _ in made.named_parameters()
                      if name.startswith(("body.embeddings", "body.encoder.layer.0."))}
    made.train()
    assert not made.body.embeddings.training and not made.body.encoder.layer[0].training
    assert made.body.encoder.layer[1].training and made.body.pooler.training
    assert not made.eval().body.encoder.layer[1].training
    again = pretrained.load(tiny_bert, "encoder", "test")
    more = optimus.encoder(again, vocabulary, tuned=9)              # more than there are: all layers, no embeddings
    assert {n for n, w in more.named_parameters() if not w.requires_grad} == {n for n in frozen if "embeddings" in n}


def test_all_of_the_encoder_is_tuned_by_default(vocabulary: Vocabulary, bert: Pretrained):
    made = optimus.encoder(bert, vocabulary).train()
    assert all(weight.requires_grad for weight in made.parameters()) and made.body.embeddings.training


def without_pooler(folder: Path, tiny_bert: Path) -> Path:
    import safetensors.torch
    shutil.copytree(tiny_bert, folder)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "pooler" not in name}
    assert len(kept) == len(weights) - 2
    safetensors.torch.save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_a_pooler_that_is_missing_is_drawn(vocabulary: Vocabulary, tiny_bert: Path, tmp_path: Path):
    """From the random state of the run, so that it is part of what a seed means."""
    path = without_pooler(tmp_path / "bare", tiny_bert)
    made = []
    for seed in (1, 1, 2):
        loaded = pretrained.load(path, "encoder", "test", may_lack="pooler")
        torch.manual_seed(seed)
        made.append(optimus.encoder(loaded, vocabulary).body.pooler.dense.weight)
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert float(made[0].detach().std()) == pytest.approx(loaded.model.config.initializer_range, rel=0.2)


# decoder ----------------------------------------------------------------------------------------------------------

def dense(layer, x: torch.Tensor) -> torch.Tensor:
    """GPT-2 keeps its matrices transposed."""
    return x @ layer.weight + layer.bias


@torch.no_grad()
def test_the_decoder_is_its_equations(vocabulary: Vocabulary):
    """Every word and layer by hand: z is one more place to look at, a part of every word; positions start at 1."""
    decoder, z = scratch(vocabulary), torch.randn(1, LATENT)
    x, heads = batch(vocabulary, SENTENCES[:1]), 3
    size = WIDTH // heads
    slots = (decoder.memory.weight @ z[0]).view(2, WIDTH)
    words = [decoder.body.wte.weight[word] + decoder.along.weight @ z[0] + decoder.body.wpe.weight[place]
             for place, word in enumerate(x[0, :-1].tolist(), 1)]
    for block, slot in zip(decoder.body.h, slots, strict=True):
        parts = [dense(block.attn.c_attn, block.ln_1(word)).split(WIDTH) for word in words]
        after = []
        for i, word in enumerate(words):
            keys, values = ([slot, *(part[k] for part in parts[:i + 1])] for k in (1, 2))
            seen = []
            for head in range(heads):
                at = slice(head * size, (head + 1) * size)
                scores = torch.stack([parts[i][0][at] @ key[at] / math.sqrt(size) for key in keys]).softmax(0)
                seen.append(sum(s * value[at] for s, value in zip(scores, values, strict=True)))
            word = word + dense(block.attn.c_proj, torch.cat(seen))
            wide = F.gelu(dense(block.mlp.c_fc, block.ln_2(word)), approximate="tanh")
            after.append(word + dense(block.mlp.c_proj, wide))
        words = after
    logits = torch.stack([decoder.body.wte.weight @ decoder.body.ln_f(word) for word in words])
    expected = F.cross_entropy(logits, x[0, 1:], reduction="sum")
    assert float(decoder(x, autoencoder.lengths(x), z)) == pytest.approx(float(expected), rel=1e-5)


@torch.no_grad()
def test_without_z_a_pretrained_decoder_is_its_checkpoint(vocabulary: Vocabulary, gpt2: Pretrained, tiny_gpt2: Path):
    """But for the two tokens that it gains: among its own the probabilities are the same, positions from 1."""
    from transformers import AutoModelForCausalLM
    own = AutoModelForCausalLM.from_pretrained(tiny_gpt2).eval()
    decoder = optimus.decoder(gpt2, vocabulary, LATENT).eval()
    tokens = torch.tensor([gpt2.tokenizer(" the food was good").input_ids])
    places = torch.arange(1, tokens.size(1) + 1).unsqueeze(0)
    features, _ = decoder.run(tokens, None, decoder.begin(1, None))
    logits = decoder.logits(features[0])
    torch.testing.assert_close(logits[:, :-2], own(tokens, position_ids=places).logits[0])
    assert logits.size(1) == own.config.vocab_size + 2


@torch.no_grad()
def test_positions_are_the_same_with_and_without_z(vocabulary: Vocabulary):
    decoder = scratch(vocabulary)
    z, x = torch.randn(2, LATENT), torch.tensor([[1, 5, 6], [1, 7, 4]])
    seen = []
    decoder.body.wpe.register_forward_hook(lambda module, given, result: seen.append(given[0].tolist()))
    for code in (z, None):
        state = decoder.begin(2, code)
        for tokens in x.split(1, dim=1):
            _, state = decoder.run(tokens, code, state)
        decoder.run(x, code, decoder.begin(2, code))
    assert seen == [[[1]], [[2]], [[3]], [[1, 2, 3]]] * 2


@pytest.mark.parametrize("kind", ["scratch", "pretrained"])
@pytest.mark.parametrize("with_code", [True, False])
@torch.no_grad()
def test_step_by_step_decoding_gives_the_same_likelihood(kind: str, with_code: bool, vocabulary: Vocabulary,
                                                         gpt2: Pretrained):
    decoder = scratch(vocabulary) if kind == "scratch" else optimus.decoder(gpt2, vocabulary, LATENT).eval()
    x = batch(vocabulary)
    z = torch.randn(len(x), LATENT) if with_code else None
    whole = decoder(x, autoencoder.lengths(x), z)
    for row in range(len(x)):
        tokens, lengths = (x[row:row + 1], autoencoder.lengths(x[row:row + 1])) if decoder.words is None else (
            decoder.words(x[row:row + 1]))
        code = None if z is None else z[row:row + 1]
        state, nll = decoder.begin(1, code), 0.0
        for i in range(int(lengths) - 1):
            logits, state = decoder.step(tokens[:, i], code, state)
            nll -= float(logits.log_softmax(-1)[0, tokens[0, i + 1]])
        assert nll == pytest.approx(float(whole[row]), abs=1e-3)


@torch.no_grad()
def test_the_likelihood_is_that_of_the_text(vocabulary: Vocabulary, gpt2: Pretrained):
    """With equal logits every token costs log of their number: the byte pairs of the words, and the end."""
    decoder = optimus.decoder(gpt2, vocabulary, LATENT).eval()
    decoder.body.wte.weight.zero_()
    x = batch(vocabulary, extra=2)
    found = decoder(x, autoencoder.lengths(x), torch.zeros(len(x), LATENT))
    texts = [f" {' '.join(s)}" if s else "" for s in SENTENCES]
    counts = [len(gpt2.tokenizer(text).input_ids) + 1 for text in texts]
    expected = [count * math.log(len(gpt2.tokenizer) + 2) for count in counts]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_the_output_layer_is_tied_where_the_checkpoint_ties_it(vocabulary: Vocabulary, gpt2: Pretrained,
                                                               tiny_gpt2: Path, tmp_path: Path):
    from transformers import GPT2Config, GPT2LMHeadModel
    count = gpt2.model.config.vocab_size
    tied = optimus.decoder(gpt2, vocabulary, LATENT)
    assert tied.output is None and tied.body.wte.weight.shape == (count + 2, 16)
    shutil.copytree(tiny_gpt2, tmp_path / "untied")
    config = GPT2Config.from_pretrained(tiny_gpt2, tie_word_embeddings=False)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "untied")
    loaded = pretrained.load(tmp_path / "untied", "causal", "test")
    before = loaded.model.lm_head.weight.detach().clone()
    untied = optimus.decoder(loaded, vocabulary, LATENT)
    assert untied.output.weight.shape == untied.body.wte.weight.shape == (count + 2, 16)
    assert torch.equal(untied.output.weight[:count], before)
    features = torch.randn(2, 16)
    torch.testing.assert_close(untied.logits(features), features @ untied.output.weight.T)
    assert not torch.equal(untied.output.weight[:count], untied.body.wte.weight[:count])


# both -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["scratch", "pretrained"])
@pytest.mark.parametrize("posterior", [Gaussian, Deterministic, partial(Gaussian, norm="batch", gamma=0.7)])
@torch.no_grad()
def test_padding_and_company_change_nothing(kind: str, posterior: Callable, vocabulary: Vocabulary, bert: Pretrained,
                                            gpt2: Pretrained):
    decoder = scratch(vocabulary) if kind == "scratch" else optimus.decoder(gpt2, vocabulary, LATENT)
    net = model(vocabulary, optimus.encoder(bert, vocabulary), decoder, posterior)
    together, wider, z = batch(vocabulary), batch(vocabulary, extra=5), torch.randn(len(SENTENCES), LATENT)
    torch.testing.assert_close(net.encode(wider).mu, net.encode(together).mu)
    torch.testing.assert_close(net.nll(wider, z), net.nll(together, z))
    for i, sentence in enumerate(SENTENCES):
        alone = batch(vocabulary, [sentence])
        torch.testing.assert_close(net.encode(alone).mu[0], net.encode(together).mu[i])
        torch.testing.assert_close(net.nll(alone, z[i:i + 1])[0], net.nll(together, z)[i], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_subword_sentences_are_those_of_whole_passes(vocabulary: Vocabulary, gpt2: Pretrained):
    """Greedy, with kept keys and values, rows that end leave the batch; and the words come back from the tokens."""
    decoder = optimus.decoder(gpt2, vocabulary, LATENT).eval()
    decoder.body.wte.weight[decoder.symbols.eos] = decoder.body.wte.weight[:50].mean(0) * 2.5     # so that some end
    net, z = model(vocabulary, None, decoder, None), 4 * torch.randn(12, LATENT)
    made, expected = generate.decode(net, z, vocabulary, max_length=9), []
    for code in z.unsqueeze(1):
        tokens = [decoder.symbols.bos]
        while len(tokens) < 10 and tokens[-1] != decoder.symbols.eos:
            features, _ = decoder.run(torch.tensor([tokens]), code, decoder.begin(1, code))
            logits = decoder.logits(features[:, -1])[0]
            logits[decoder.symbols.bos] = -torch.inf
            tokens.append(int(logits.argmax()))
        text = gpt2.tokenizer.decode([t for t in tokens if t < len(gpt2.tokenizer)])
        expected.append(tuple(text.split()))
    assert made == expected and len({len(sentence) for sentence in made}) > 1


@pytest.mark.parametrize("kind", ["scratch", "pretrained", "untied"])
@torch.no_grad()
def test_a_model_is_rebuilt_from_its_weights_alone(kind: str, vocabulary: Vocabulary, bert: Pretrained,
                                                   gpt2: Pretrained):
    decoder = scratch(vocabulary) if kind == "scratch" else optimus.decoder(gpt2, vocabulary, LATENT)
    if kind == "untied":
        decoder.output = torch.nn.Linear(16, len(gpt2.tokenizer) + 2, bias=False)
    net = model(vocabulary, optimus.encoder(bert, vocabulary), decoder)
    weights = net.state_dict()
    again = model(vocabulary, *optimus.rebuilt(weights, LATENT))
    again.load_state_dict(weights)
    x, z = batch(vocabulary), torch.randn(len(SENTENCES), LATENT)
    assert torch.equal(again.eval().encode(x).mu, net.encode(x).mu)
    assert torch.equal(again.nll(x, z), net.nll(x, z))
    assert generate.decode(again, z, vocabulary) == generate.decode(net, z, vocabulary)


def test_models_of_another_kind_are_refused(vocabulary: Vocabulary, bert: Pretrained, gpt2: Pretrained):
    with pytest.raises(CeaeError, match="encoder tiny-gpt2: its kind is gpt2.*bert"):
        optimus.encoder(gpt2, vocabulary)
    with pytest.raises(CeaeError, match="decoder tiny-bert: its kind is bert.*gpt2"):
        optimus.decoder(bert, vocabulary, LATENT)


def test_a_sentence_longer_than_the_positions_is_refused(vocabulary: Vocabulary, bert: Pretrained):
    long = batch(vocabulary, [("unheard-of",) * 200])
    with pytest.raises(CeaeError, match="encoder: a sentence of .* tokens is longer than its 128 positions"):
        optimus.encoder(bert, vocabulary)(long, autoencoder.lengths(long))
    longer = batch(vocabulary, [("unheard-of",) * 300])
    with pytest.raises(CeaeError, match="decoder: a sentence of .* longer than its 256"):
        scratch(vocabulary)(longer, autoencoder.lengths(longer), torch.zeros(1, LATENT))
