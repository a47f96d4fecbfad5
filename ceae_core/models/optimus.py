"""Pretrained encoder and decoder (li2020optimus): BERT's pooled output, and a GPT-2 that looks at z in every layer.

The decoder may also be a GPT-2 of the corpus's own words that is trained from scratch.
"""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ceae_core.corpora.vocabulary import Vocabulary
from ceae_core.errors import CeaeError, NotRun
from ceae_core.models import pieces
from ceae_core.models.output import sentence_nll
from ceae_core.models.pieces import Pieces, Subwords
from ceae_core.pretrained import Pretrained

POSITIONS = 256         # of a decoder from scratch: no sentence of the corpora has more than 200 words
State = tuple[torch.Tensor, torch.Tensor]


class BertEncoder(nn.Module):
    """The pooled output of a BERT: a dense layer and tanh on its last layer at [CLS] (devlin2019bert).

    `body` has embeddings for those word pieces alone that words of the vocabulary are made of.  With `tuned` > 0 only
    so many of its upper layers and the pooler are trained; what stays as it is has no dropout.
    """

    def __init__(self, body: nn.Module, words: Pieces, *, dropout: float = 0.0, tuned: int = 0) -> None:
        super().__init__()
        self.body, self.words, self.dropout = body, words, nn.Dropout(dropout)
        self.width = body.config.hidden_size
        self.register_buffer("config", _written(body.config))
        layers = list(body.encoder.layer)
        self.frozen = [body.embeddings, *layers[:max(0, len(layers) - tuned)]] if tuned else []
        for part in self.frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> "BertEncoder":
        """As any module's, but what is not trained stays in evaluation mode."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, T) word ids, lengths (B,) unused -> h (B, D)."""
        tokens, lengths = self.words(x)
        _check_length(tokens, self.body.config.max_position_embeddings, "encoder")
        real = torch.arange(tokens.size(1), device=x.device) < lengths.unsqueeze(1)
        return self.dropout(self.body(input_ids=tokens, attention_mask=real.long()).pooler_output)


class GptDecoder(nn.Module):
    """A GPT-2 with z as key and value of one more place in each layer, and added to every token (li2020optimus, sec.
    3.2).  Positions of text start at 1, with and without z.

    `words` makes tokens of words and `symbols` words of tokens; without them tokens are words.  `output` is the layer
    over the tokens where that is not the embeddings themselves.  The state holds the keys and values of all layers,
    each (layers, B, heads, places, D / heads).
    """

    def __init__(self, body: nn.Module, latent: int, *, words: Pieces | None = None, symbols: Subwords | None = None,
                 output: nn.Linear | None = None, dropout_out: float = 0.0) -> None:
        super().__init__()
        self.body, self.words, self.symbols, self.output = body, words, symbols, output
        self.latent, self.dropout_out = latent, nn.Dropout(dropout_out)
        self.register_buffer("config", _written(body.config))
        if latent:
            self.memory = nn.Linear(latent, body.config.n_layer * body.config.n_embd, bias=False)
            self.along = nn.Linear(latent, body.config.n_embd, bias=False)

    def begin(self, batch: int, z: torch.Tensor | None) -> State:
        """The state before the first token: z (B, Z) as key and value of one place in each layer; without z none."""
        shape = self.body.config
        if z is None:
            empty = self.body.wte.weight.new_zeros(shape.n_layer, batch, shape.n_head, 0, shape.n_embd // shape.n_head)
            return empty, empty
        slots = self.memory(z).view(batch, shape.n_layer, shape.n_head, 1, -1).transpose(0, 1)
        return slots, slots

    def run(self, tokens: torch.Tensor, z: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """tokens (B, S) after those of the state, z (B, Z) -> features (B, S, D), new state."""
        from transformers import DynamicCache
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(zip(*state, strict=True)):
            cache.update(keys, values, layer)
        first = state[0].size(3) + (z is None)
        _check_length(tokens, self.body.config.n_positions, "decoder", first)
        places = torch.arange(first, first + tokens.size(1), device=tokens.device).unsqueeze(0)
        words = self.body.wte(tokens)
        if z is not None:
            words = words + self.along(z).unsqueeze(1)
        features = self.body(inputs_embeds=words, position_ids=places, past_key_values=cache,
                             use_cache=True).last_hidden_state
        return features, tuple(torch.stack([getattr(layer, part) for layer in cache.layers])
                               for part in ("keys", "values"))

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """features (N, D) -> (N, tokens) in float32."""
        weight = self.body.wte.weight if self.output is None else self.output.weight
        return F.linear(self.dropout_out(features), weight).float()

    def forward(self, x: torch.Tensor, lengths: torch.Tensor, z: torch.Tensor | None) -> torch.Tensor:
        """-log p(x|z) of each sentence, nats: x (B, T) word ids with `<s> … </s>` and padding -> (B,).

        The sum over all tokens of the words and the end, so a log-probability of the text whatever the tokens are.
        """
        tokens, lengths = (x, lengths) if self.words is None else self.words(x)
        features, _ = self.run(tokens[:, :-1], z, self.begin(len(x), z))                # (B, S-1, D)
        return sentence_nll(features, tokens, lengths, lambda rows, _: self.logits(rows))

    def step(self, tokens: torch.Tensor, z: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """One token: tokens (B,) -> logits (B, tokens), new state."""
        features, state = self.run(tokens.unsqueeze(1), z, state)
        return self.logits(features.squeeze(1)), state


def _check_length(tokens: torch.Tensor, most: int, side: str, first: int = 0) -> None:
    if first + tokens.size(1) > most:
        raise CeaeError(f"{side}: a sentence of {tokens.size(1)} tokens is longer than its {most} positions; leave out "
                        "longer sentences or take another model")


def _written(config: Any) -> torch.Tensor:
    """The configuration of a model as bytes, so that it is saved with the weights."""
    return torch.frombuffer(bytearray(config.to_json_string().encode()), dtype=torch.uint8)


def _read(written: torch.Tensor) -> dict[str, Any]:
    return json.loads(bytes(written.tolist()))


# fresh ----------------------------------------------------------------------------------------------------------------

def encoder(loaded: Pretrained, vocabulary: Vocabulary, **more: Any) -> BertEncoder:
    """The pretrained encoder for a vocabulary; a pooler that it lacks is drawn.

    Raises CeaeError for a model of another kind.
    """
    who, body, tokenizer = f"encoder {loaded.name}", loaded.model, loaded.tokenizer
    if body.config.model_type != "bert":
        raise CeaeError(f"{who}: its kind is {body.config.model_type}; give an encoder of kind bert")
    if loaded.drawn:
        nn.init.normal_(body.pooler.dense.weight, std=body.config.initializer_range)
        nn.init.zeros_(body.pooler.dense.bias)
    rows = pieces.word_pieces(vocabulary, tokenizer, who)
    used = [tokenizer.pad_token_id, *sorted({token for row in rows for token in row} - {tokenizer.pad_token_id})]
    places = {token: place for place, token in enumerate(used)}
    weight = body.embeddings.word_embeddings.weight.detach()[used].clone()
    body.embeddings.word_embeddings = nn.Embedding.from_pretrained(weight, freeze=False, padding_idx=0)
    body.config.vocab_size, body.config.pad_token_id = len(used), 0
    return BertEncoder(body, Pieces(pieces.table([[places[token] for token in row] for row in rows])), **more)


def decoder(loaded: Pretrained, vocabulary: Vocabulary, latent: int, **more: Any) -> GptDecoder:
    """The pretrained decoder with two more tokens, for the start and the end of a sentence.

    Raises CeaeError for a model of another kind.
    """
    who, model, tokenizer = f"decoder {loaded.name}", loaded.model, loaded.tokenizer
    if model.config.model_type != "gpt2":
        raise CeaeError(f"{who}: its kind is {model.config.model_type}; give a decoder of kind gpt2")
    body, count = model.transformer, model.config.vocab_size
    spread = model.config.initializer_range
    words = Pieces(pieces.table(pieces.byte_pairs(vocabulary, tokenizer, count, count + 1, who)))
    symbols = Subwords(*pieces.spellings(tokenizer, count), count, count + 1)
    untied = model.lm_head if model.lm_head.weight is not body.wte.weight else None
    body.wte = nn.Embedding.from_pretrained(_longer(body.wte.weight, spread), freeze=False)
    output = None
    if untied is not None:
        output = nn.Linear(body.config.n_embd, count + 2, bias=False)
        output.weight = nn.Parameter(_longer(untied.weight, spread))
    body.config.vocab_size = count + 2
    return GptDecoder(body, latent, words=words, symbols=symbols, output=output, **more)


def _longer(weight: torch.Tensor, spread: float) -> torch.Tensor:
    """Rows of two more tokens below those of weight (V, D), from N(0, spread^2)."""
    return torch.cat([weight.detach(), torch.randn(2, weight.size(1)) * spread])


def scratch(vocabulary_size: int, latent: int, *, width: int, layers: int, heads: int, inner: int, init: str,
            dropout_in: float, dropout_layer: float, **more: Any) -> GptDecoder:
    """A GPT-2 of the corpus's words, its weights drawn."""
    GPT2Config, GPT2Model = _gpt2()
    body = GPT2Model(GPT2Config(
        vocab_size=vocabulary_size, n_positions=POSITIONS, n_embd=width, n_layer=layers, n_head=heads, n_inner=inner,
        resid_pdrop=dropout_layer, embd_pdrop=dropout_in, attn_pdrop=dropout_layer, bos_token_id=None,
        eos_token_id=None, initializer_range=0.02 if init == "stack" else width ** -0.5))
    return GptDecoder(body, latent, **more)


def _gpt2() -> tuple[Any, Any]:
    try:
        from transformers import GPT2Config, GPT2Model
    except ImportError as error:
        raise NotRun(f"net=pretrained needs the package transformers ({error}); pip install transformers") from error
    return GPT2Config, GPT2Model


# of a finished run ----------------------------------------------------------------------------------------------------

def rebuilt(weights: Mapping[str, torch.Tensor], latent: int) -> tuple[BertEncoder | None, GptDecoder]:
    """Encoder and decoder of the shapes that the saved `weights` of a model have, without any other file.

    The weights themselves are loaded by whoever calls this.
    """
    GPT2Config, GPT2Model = _gpt2()
    from transformers import BertConfig, BertModel
    body = GPT2Model(GPT2Config.from_dict(_read(weights["decoder.config"])))
    words = symbols = output = None
    if "decoder.words.table" in weights:
        words = Pieces(torch.empty_like(weights["decoder.words.table"]))
        count = body.config.vocab_size - 2
        symbols = Subwords(*(torch.empty_like(weights[f"decoder.symbols.{name}"]) for name in ("letters", "starts")),
                           count, count + 1)
    if "decoder.output.weight" in weights:
        output = nn.Linear(body.config.n_embd, body.config.vocab_size, bias=False)
    made = GptDecoder(body, latent, words=words, symbols=symbols, output=output)
    if not latent:
        return None, made
    encoder_body = BertModel(BertConfig.from_dict(_read(weights["encoder.config"])))
    return BertEncoder(encoder_body, Pieces(torch.empty_like(weights["encoder.words.table"]))), made
