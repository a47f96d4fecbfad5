"""Text from codes: samples from the prior, reconstructions, any z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from ceae_core.corpora import Vocabulary
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.hardware import choose_device
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.pieces import Subwords
from ceae_core.seeding import seeded

if TYPE_CHECKING:
    from ceae_core.runs import Run

CODES_AT_ONCE = 500
DECODERS = ("greedy", "multinomial")
Sentence = tuple[str, ...]


@torch.no_grad()
def decode(model: TextAutoencoder, z: torch.Tensor | None, vocabulary: Vocabulary, *, how: str = "greedy",
           temperature: float = 1.0, max_length: int = 100, count: int = 0) -> list[Sentence]:
    """One sentence per code z (N, Z); without z (a language model) `count` sentences.

    `greedy` takes the most probable word, `multinomial` draws from softmax(logits / temperature); a sentence ends with
    `</s>` or after `max_length` words (tokens, where the decoder's are parts of words).  Padding and start symbols are
    never produced.  Raises CeaeError for an unknown `how` or a temperature that is not positive.
    """
    if how not in DECODERS:
        raise CeaeError(f"decode: unknown value {how!r}; choose {' or '.join(DECODERS)}")
    if not temperature > 0:
        raise CeaeError(f"temperature: must be positive, not {temperature}")
    model.eval()
    n = count if z is None else len(z)
    out: list[Sentence] = []
    symbols = getattr(model.decoder, "symbols", None) or vocabulary                     # of tokens that are no words
    for start in range(0, n, CODES_AT_ONCE):
        size = min(CODES_AT_ONCE, n - start)
        ids = _decode_batch(model, None if z is None else z[start:start + size], size, symbols, how, temperature,
                            max_length)
        out += [symbols.decode(row) for row in ids.tolist()]
    return out


def _decode_batch(model: TextAutoencoder, z: torch.Tensor | None, size: int, symbols: Vocabulary | Subwords, how: str,
                  temperature: float, max_length: int) -> torch.Tensor:
    """(B, max_length) token ids, the end symbol wherever a sentence is over; finished rows leave the computation."""
    device = next(model.parameters()).device
    ids = torch.full((size, max_length), symbols.eos, device=device)
    rows = torch.arange(size, device=device)                                            # unfinished sentences
    tokens = torch.full((size,), symbols.bos, device=device)
    state = model.decoder.begin(size, z)
    for t in range(max_length):
        logits, state = model.decoder.step(tokens, z, state)                            # (R, V)
        logits[:, [symbols.pad, symbols.bos]] = -torch.inf
        if how == "multinomial":                                                        # argmax of Gumbel noise
            logits = logits / temperature - torch.empty_like(logits).exponential_().log()
        tokens = logits.argmax(-1)
        ids[rows, t] = tokens
        going = tokens != symbols.eos
        if not going.all():
            rows, tokens, z = rows[going], tokens[going], None if z is None else z[going]
            state = tuple(s[:, going] for s in state)
            if not len(rows):
                break
    return ids


def sample(model: TextAutoencoder, vocabulary: Vocabulary, n: int, *, how: str = "greedy", seed: int = 0,
           temperature: float = 1.0, max_length: int = 100) -> list[Sentence]:
    """`n` sentences from codes that are drawn from the family's prior; a language model has none."""
    with seeded(seed, "sample", how):
        z = model.posterior.prior().sample((n,)) if model.posterior else None
        return decode(model, z, vocabulary, how=how, temperature=temperature, max_length=max_length, count=n)


def of_run(run: Run, n: int, *, device: str = "auto", how: str = "greedy", seed: int = 0, temperature: float = 1.0,
           max_length: int = 100) -> list[Sentence]:
    """`sample` from the model of a run.  Raises CeaeError for one that diverged."""
    run.require("is no model to sample from")
    return sample(run.model(choose_device(device)), run.vocabulary(), n, how=how, seed=seed, temperature=temperature,
                  max_length=max_length)


@torch.no_grad()
def reconstruct(model: TextAutoencoder, sentences: Sequence[Sentence], vocabulary: Vocabulary, *,
                max_length: int = 100) -> list[Sentence]:
    """Greedy decoding from the code mu of each sentence.  Raises CeaeError for a language model, which has none."""
    if model.posterior is None:
        raise CeaeError("reconstruct: a language model has no code to decode from")
    device = next(model.parameters()).device
    data = Encoded(sentences, vocabulary)
    model.eval()
    if not len(data):
        return []
    rows = torch.arange(len(data)).split(CODES_AT_ONCE)
    mu = torch.cat([model.encode(data.batch(part.numpy()).to(device)).mu for part in rows])
    return decode(model, mu, vocabulary, max_length=max_length)
