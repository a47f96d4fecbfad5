"""Transformer encoder and decoder (vaswani2017attention), the second pair of networks behind every family."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from ceae_core.errors import CeaeError
from ceae_core.models.output import sentence_nll

INITS = ("stack", "wide")
Past = tuple[torch.Tensor, torch.Tensor]        # keys and values, each (B, heads, T, D / heads)


def positions(first: int, count: int, width: int, device: torch.device) -> torch.Tensor:
    """Sines and cosines of places first, first + 1, … (vaswani2017attention, sec. 3.5) -> (count, width)."""
    places = torch.arange(first, first + count, device=device, dtype=torch.float32).unsqueeze(1)
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
    waves = places * rates                                                              # (count, ceil(width / 2))
    return torch.stack([waves.sin(), waves.cos()], -1).flatten(1)[:, :width]


class Block(nn.Module):
    """Self-attention, then two dense layers, each added to its input and normed (vaswani2017attention, fig. 1)."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.attention_norm, self.dense_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def split(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, heads, T, D / heads)."""
        return rows.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None, past: Past | None = None,
                ) -> tuple[torch.Tensor, Past]:
        """x (B, T, D), mask (…, T, P + T) true where a row may look, past (P places) -> (B, T, D), past with x."""
        query, key, value = map(self.split, self.project(x).chunk(3, -1))
        if past is not None:
            key, value = (torch.cat([old.to(new.dtype), new], 2) for old, new in zip(past, (key, value), strict=True))
        seen = F.scaled_dot_product_attention(query, key, value, mask, self.rate if self.training else 0.0)
        x = self.attention_norm(x + self.dropout(self.out(seen.transpose(1, 2).flatten(2))))
        dense = self.narrow(self.dropout(self.widen(x).relu()))
        return self.dense_norm(x + self.dropout(dense)), (key, value)


class Words(nn.Module):
    """Word embeddings times sqrt(D), plus positions."""

    def __init__(self, vocabulary_size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.table, self.dropout = nn.Embedding(vocabulary_size, width), nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, first: int = 0, added: torch.Tensor | None = None) -> torch.Tensor:
        """Token ids (B, T), the place of the first; `added` (B, D) to every word -> (B, T, D)."""
        width = self.table.embedding_dim
        words = self.table(x) * width ** 0.5
        if added is not None:
            words = words + added.unsqueeze(1)
        return self.dropout(words + positions(first, x.size(1), width, x.device))


# DEVIATION(ceae:C): the paper's network is Transformer-XL with the settings of its PTB package.  That package trains
# with a memory length of 0 on a stream; sentences one by one need no recurrence, and relative positions give way to
# sinusoidal ones.  Blocks are post-norm with ReLU, and output weights are tied, as there.
class TransformerEncoder(nn.Module):
    """Looks at the whole sentence; the sentence is the last layer's output at `<s>` (ceae, sec. 4.1)."""

    def __init__(self, vocabulary_size: int, width: int, layers: int, heads: int, inner: int, *,
                 dropout: float = 0.0, dropout_layer: float = 0.0) -> None:
        super().__init__()
        self.words = Words(vocabulary_size, width, dropout)
        self.blocks = nn.ModuleList(Block(width, heads, inner, dropout_layer) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, T) token ids, lengths (B,) real tokens of each row -> h (B, D)."""
        real = torch.arange(x.size(1), device=x.device) < lengths.unsqueeze(1)
        mask, features = real[:, None, None, :], self.words(x)                          # (B, 1, 1, T)
        for block in self.blocks:
            features, _ = block(features, mask)
        return self.dropout(features[:, 0])


class TransformerDecoder(nn.Module):
    """Causal; z is one more place that every layer may look at, and is added to every word (li2020optimus, sec. 3.2).

    `latent=0` makes it a language model.  The state of step-by-step decoding holds the keys and values of all layers,
    each (layers, B, heads, places, D / heads).
    """

    def __init__(self, vocabulary_size: int, width: int, latent: int, layers: int, heads: int, inner: int, *,
                 dropout_in: float = 0.0, dropout_out: float = 0.0, dropout_layer: float = 0.0) -> None:
        super().__init__()
        self.latent, self.heads = latent, heads
        self.words = Words(vocabulary_size, width, dropout_in)
        self.blocks = nn.ModuleList(Block(width, heads, inner, dropout_layer) for _ in range(layers))
        self.dropout_out = nn.Dropout(dropout_out)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        if latent:
            self.memory = nn.Linear(latent, layers * width, bias=False)
            self.along = nn.Linear(latent, width, bias=False)

    def begin(self, batch: int, z: torch.Tensor | None) -> Past:
        """The state before the first word: z (B, Z) as key and value of one place in each layer; without z no place."""
        width, layers = self.words.table.embedding_dim, len(self.blocks)
        if z is None:
            empty = self.bias.new_zeros(layers, batch, self.heads, 0, width // self.heads)
            return empty, empty
        slots = self.memory(z).view(batch, layers, self.heads, 1, width // self.heads).transpose(0, 1)
        return slots, slots

    def run(self, tokens: torch.Tensor, z: torch.Tensor | None, state: Past) -> tuple[torch.Tensor, Past]:
        """tokens (B, T) after those of the state, z (B, Z) -> features (B, T, D), new state."""
        count, before = tokens.size(1), state[0].size(3)
        mask = None if count == 1 else torch.ones(count, before + count, dtype=torch.bool,
                                                  device=tokens.device).tril(before)
        features, kept = self.words(tokens, before, None if z is None else self.along(z)), []
        for block, keys, values in zip(self.blocks, *state, strict=True):
            features, past = block(features, mask, (keys, values))
            kept.append(past)
        return features, tuple(torch.stack(part) for part in zip(*kept, strict=True))

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """features (N, D) -> (N, V) in float32, by the word embeddings themselves (press2017using)."""
        return F.linear(self.dropout_out(features), self.words.table.weight, self.bias).float()

    def forward(self, x: torch.Tensor, lengths: torch.Tensor, z: torch.Tensor | None) -> torch.Tensor:
        """-log p(x|z) of each sentence, nats: x (B, T) with `<s> … </s>` and padding -> (B,), `</s>` counted."""
        features, _ = self.run(x[:, :-1], z, self.begin(len(x), z))                     # (B, T-1, D)
        return sentence_nll(features, x, lengths, lambda rows, _: self.logits(rows))

    def step(self, tokens: torch.Tensor, z: torch.Tensor | None, state: Past) -> tuple[torch.Tensor, Past]:
        """One word: tokens (B,) -> logits (B, V), new state."""
        features, state = self.run(tokens.unsqueeze(1), z, state)
        return self.logits(features.squeeze(1)), state


def check(embedding: int, hidden: int, heads: int, skip: bool, init: str) -> None:
    """CeaeError for settings that belong to LSTMs, or sizes that do not fit together."""
    if embedding != hidden:
        raise CeaeError(f"embedding: a transformer has one width; set hidden and embedding to one number, not {hidden} "
                        f"and {embedding}")
    if hidden % heads:
        raise CeaeError(f"heads: {heads} do not divide the width {hidden}; choose heads that do")
    if skip:
        raise CeaeError("skip: every layer of a transformer sees z already; set skip=false or net=lstm")
    if init not in INITS:
        raise CeaeError(f"init: {init!r} is a start of LSTMs; a transformer has {' and '.join(INITS)}")


@torch.no_grad()
def initialise(init: str, *modules: nn.Module | None) -> None:
    """Draw the starting weights; biases start at 0, layer norms are left as they are.

    `stack`: all from N(0, 0.02^2), as Transformer-XL and GPT-2 do.  `wide`: from N(0, 1 / inputs), embeddings from
    N(0, 1 / D), for narrow networks and short trainings: there 0.02 leaves every sentence with nearly the same code.
    """
    for module in modules:
        for layer in module.modules() if module is not None else ():
            if isinstance(layer, nn.Linear | nn.Embedding):
                nn.init.normal_(layer.weight, std=0.02 if init == "stack" else layer.weight.size(1) ** -0.5)
                if getattr(layer, "bias", None) is not None:
                    nn.init.zeros_(layer.bias)
