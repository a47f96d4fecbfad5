"""Decoding against loops that compute one sentence at a time from its whole prefix."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator

import pytest
import torch

from ceae_core import generate
from ceae_core.corpora.vocabulary import Vocabulary, build
from ceae_core.errors import CeaeError
from ceae_core.generate import decode, reconstruct, sample
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.autoencoder import build as build_model
from ceae_core.models.posteriors import Deterministic
from ceae_core.models.sphere import Spherical
from ceae_core.seeding import seeded

LATENT = 3
WORDS = ("a", "b", "c", "d")


@pytest.fixture(scope="module", params=["bn", "ivae"])
def vocabulary(request) -> Vocabulary:
    """Eight rows; the rules number the reserved symbols differently."""
    return build([WORDS], request.param)


def model(posterior=Deterministic) -> TextAutoencoder:
    """Random weights, large enough that codes lead to sentences of many lengths; an output bias to steer with."""
    torch.manual_seed(4)
    net = build_model(posterior, 8, stack="ivae", embedding=5, hidden=6, latent=LATENT, skip=posterior is not None)
    with torch.no_grad():
        for weight in net.parameters():
            weight.uniform_(-2.4, 2.4)
        net.decoder.output.bias.zero_()
        if posterior is not None:
            net.decoder.start.weight.mul_(2.0)
    return net


def steer(net: TextAutoencoder, **logits: float) -> TextAutoencoder:
    """Adds to the output bias of the rows named i0, i1, …"""
    with torch.no_grad():
        for name, value in logits.items():
            net.decoder.output.bias[int(name[1:])] += value
    return net


def codes(n: int, seed: int = 0) -> torch.Tensor:
    return 1.5 * torch.randn(n, LATENT, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def log_probabilities(net: TextAutoencoder, prefix: list[int], z: torch.Tensor | None, vocabulary: Vocabulary,
                      temperature: float = 1.0) -> torch.Tensor:
    """log p(next word | prefix, z) with padding and start symbol ruled out, from one run over the whole prefix."""
    net.eval()
    z = None if z is None else z.unsqueeze(0)
    features, _ = net.decoder.run(torch.tensor([prefix]), z, net.decoder.begin(1, z))
    logits = net.decoder.logits(features[:, -1], z)[0]
    logits[[vocabulary.pad, vocabulary.bos]] = -math.inf
    return (logits / temperature).log_softmax(-1)


def naive_greedy(net, z, vocabulary, max_length: int) -> tuple[str, ...]:
    prefix, words = [vocabulary.bos], []
    while len(words) < max_length:
        word = int(log_probabilities(net, prefix, z, vocabulary).argmax())
        if word == vocabulary.eos:
            break
        prefix.append(word)
        words.append(vocabulary.words[word])
    return tuple(words)


def test_greedy_decoding_is_the_one_by_one_loop(vocabulary, monkeypatch):
    net, z = model(), codes(40)
    expected = [naive_greedy(net, each, vocabulary, 9) for each in z]
    lengths = {len(sentence) for sentence in expected}
    assert len(set(expected)) > 10 and {0, 9} < lengths and len(lengths) > 4
    net.train()                                         # dropout must be off all the same
    assert decode(net, z, vocabulary, max_length=9) == expected
    monkeypatch.setattr(generate, "CODES_AT_ONCE", 7)
    assert decode(net, z, vocabulary, max_length=9) == expected
    assert decode(net, z.flip(0), vocabulary, max_length=9) == expected[::-1]


def test_a_language_model_decodes_without_codes(vocabulary):
    net = model(posterior=None)
    expected = naive_greedy(net, None, vocabulary, 6)
    assert decode(net, None, vocabulary, max_length=6, count=3) == [expected] * 3
    assert sample(net, vocabulary, 3, max_length=6) == [expected] * 3
    assert len(set(sample(net, vocabulary, 30, how="multinomial", max_length=6))) > 5


def outcomes(net, z, vocabulary, temperature: float) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every sentence of at most two words with its probability when decoding stops after two."""
    start = [vocabulary.bos]
    first = log_probabilities(net, start, z, vocabulary, temperature).exp()
    yield (), float(first[vocabulary.eos])
    speakable = [i for i in range(8) if i not in (vocabulary.pad, vocabulary.bos, vocabulary.eos)]
    for i in speakable:
        second = log_probabilities(net, [*start, i], z, vocabulary, temperature).exp() * first[i]
        yield (vocabulary.words[i],), float(second[vocabulary.eos])
        for j in speakable:
            yield (vocabulary.words[i], vocabulary.words[j]), float(second[j])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_multinomial_decoding_draws_from_the_softmax(vocabulary, temperature: float):
    """Chi-square over all 31 sentences of at most two words, for one code drawn 4000 times."""
    net, z, n = model(), codes(1), 4000
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(0.3)
    expected = dict(outcomes(net, z[0], vocabulary, temperature))
    assert len(expected) == 31 and sum(expected.values()) == pytest.approx(1.0, abs=1e-5)
    torch.manual_seed(0)
    drawn = decode(net, z.expand(n, -1), vocabulary, how="multinomial", temperature=temperature, max_length=2)
    found = Counter(drawn)
    assert found.keys() <= expected.keys()
    common = [s for s, p in expected.items() if n * p >= 5]
    rest = 1.0 - sum(expected[s] for s in common)
    cells = [(found[s], n * expected[s]) for s in common]
    if n * rest > 1:
        cells.append((n - sum(count for count, _ in cells), n * rest))
    chi_square, freedom = sum((count - mean) ** 2 / mean for count, mean in cells), len(cells) - 1
    assert freedom >= 5
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def test_low_temperature_is_greedy(vocabulary):
    net, z = model(), codes(30)
    torch.manual_seed(0)
    cold = decode(net, z, vocabulary, how="multinomial", temperature=1e-4, max_length=8)
    assert cold == decode(net, z, vocabulary, max_length=8)


@pytest.mark.parametrize("how", generate.DECODERS)
def test_padding_and_start_symbols_are_never_produced(vocabulary, how: str):
    reserved = {f"i{vocabulary.pad}": 50.0, f"i{vocabulary.bos}": 60.0}
    plain, eager = model(), steer(model(), **reserved)
    for net in (plain, eager):
        torch.manual_seed(0)
        ids = generate._decode_batch(net.eval(), codes(20), 20, vocabulary, how, 1.0, 6)
        assert not torch.isin(ids, torch.tensor([vocabulary.pad, vocabulary.bos])).any()
    z = codes(20)
    assert decode(plain, z, vocabulary, max_length=6) == decode(eager, z, vocabulary, max_length=6)


@pytest.mark.parametrize("how", generate.DECODERS)
def test_sentences_end_at_the_longest_length_or_at_once(vocabulary, how: str):
    endless, mute = (steer(model(), **{f"i{vocabulary.eos}": value}) for value in (-1e4, 1e4))
    assert [len(s) for s in decode(endless, codes(9), vocabulary, how=how, max_length=5)] == [5] * 9
    assert decode(mute, codes(9), vocabulary, how=how, max_length=5) == [()] * 9


def test_samples_repeat_with_their_seed(vocabulary):
    net = model()
    for how in generate.DECODERS:
        one, again, other = (sample(net, vocabulary, 30, how=how, seed=seed, max_length=8) for seed in (3, 3, 4))
        assert one == again != other and len(one) == 30
    torch.manual_seed(5)
    before = torch.get_rng_state()
    sample(net, vocabulary, 3)
    assert torch.equal(torch.get_rng_state(), before)


def drawn_codes(net: TextAutoencoder, vocabulary: Vocabulary, n: int, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """The codes that `sample` would decode."""
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(generate, "decode", lambda net, z, *given, **named: seen.append(z))
    sample(net, vocabulary, n, seed=3)
    return seen[0]


def test_samples_come_from_the_standard_normal_prior(vocabulary, monkeypatch):
    z = drawn_codes(model(), vocabulary, 4000, monkeypatch)
    assert z.shape == (4000, LATENT)
    assert float(z.mean(0).abs().max()) < 5 / math.sqrt(4000)
    assert float((z.T @ z / 4000 - torch.eye(LATENT)).abs().max()) < 5 * math.sqrt(2 / 4000)


@pytest.mark.parametrize("n", [1, 5, 4000])
def test_the_standard_normal_codes_are_those_of_randn(vocabulary, n: int, monkeypatch):
    """To the last bit, so that samples of runs made before there were other priors stay what they are."""
    with seeded(3, "sample", "greedy"):
        expected = torch.randn(n, LATENT)
    assert drawn_codes(model(), vocabulary, n, monkeypatch).equal(expected)


def test_a_family_with_another_prior_samples_from_that(vocabulary, monkeypatch):
    z = drawn_codes(model(posterior=Spherical), vocabulary, 500, monkeypatch)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(500))


def test_reconstructions_are_in_the_order_of_their_sentences(vocabulary):
    net = model().train()
    sentences = [s for n in (5, 1, 3) for s in itertools.islice(itertools.product(WORDS, repeat=n), 0, 60, 7)]
    expected = []
    for sentence in sentences:
        x = torch.tensor([vocabulary.encode(sentence)])
        expected.append(naive_greedy(net, net.eval().encode(x).mu[0].detach(), vocabulary, 7))
    assert len(set(expected)) > 5
    assert reconstruct(net.train(), sentences, vocabulary, max_length=7) == expected
    assert reconstruct(net, sentences[::-1], vocabulary, max_length=7) == expected[::-1]


def test_a_language_model_cannot_reconstruct(vocabulary):
    with pytest.raises(CeaeError, match="language model"):
        reconstruct(model(posterior=None), [("a",)], vocabulary)


@pytest.mark.parametrize("options", [{"how": "beam"}, {"temperature": 0.0}, {"temperature": -1.0},
                                     {"temperature": math.nan}])
def test_impossible_decoding_is_refused(vocabulary, options: dict):
    with pytest.raises(CeaeError, match=next(iter(options)) if "how" not in options else "greedy or multinomial"):
        decode(model(), codes(2), vocabulary, **options)
