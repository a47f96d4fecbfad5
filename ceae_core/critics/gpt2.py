"""The GPT-2 critic: a pretrained causal language model (radford2019language) as it is, without any training.

The paper scores samples with GPT-2 as one stream, coherence across sentences included (ceae, sec. A.2).  Here both ways
score the same tokens, words and the newline after each sentence: a sentence after the end of another text, or all
sentences as one text in windows.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ceae_core import pretrained
from ceae_core.critics.scores import Scores, Sentence
from ceae_core.errors import CeaeError
from ceae_core.hardware import choose_device
from ceae_core.progress import bar

SOURCE = "gpt2"             # the smallest of the published ones, 117M parameters as the paper counts


# DEVIATION(ceae:A.2): how the stream is joined and cut is not said; here each sentence ends with a newline, and windows
# of all positions that the model has move on by half of that.
def windows(count: int, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, first): the tokens before begin … end - 1 predict those from `first` to `end` - 1, each one once.

    Every window holds at most `window` tokens and begins `stride` after the one before, so that a token is predicted
    from at least `window - stride` others, or from all there are.
    """
    first = 0
    for begin in range(0, count, stride):
        end = min(begin + window, count)
        if end > first:
            yield begin, end, first
        first = end


class Gpt2Critic:
    """`model` is a causal language model of transformers, `tokenizer` its own; see `load`."""

    name = "gpt2"

    def __init__(self, model: Any, tokenizer: Any, settings: dict[str, Any], stride: int, window: int) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.window, self.stride = window, stride
        self.prefix = _prefix(tokenizer)
        self.newline = tokenizer("\n", add_special_tokens=False).input_ids
        if not self.newline:
            raise CeaeError("critic gpt2: its tokenizer has no token for a newline; are tokenizer.json, or vocab.json "
                            "and merges.txt, in the folder?")

    def score(self, sentences: Sequence[Sentence]) -> Scores:
        """Each sentence on its own, after an end of text; its newline is counted."""
        tokens = self._tokens(sentences)
        nats = np.zeros(len(tokens))
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        with bar(len(tokens), "critic gpt2") as shown:
            for rows in self._batches(order, tokens):
                values = (self._together([tokens[i] for i in rows]) if len(tokens[rows[-1]]) <= self.window
                          else [self._stream(tokens[rows[0]]).sum()])
                nats[rows] = values
                shown.update(len(rows))
        return self._scores(sentences, tokens, nats)

    def score_stream(self, sentences: Sequence[Sentence]) -> Scores:
        """The sentences in their order as one text, after one end of text; the nats of each of them."""
        tokens = self._tokens(sentences)
        if not tokens:
            return self._scores(sentences, tokens, np.empty(0))
        nats = self._stream([i for row in tokens for i in row])
        starts = np.cumsum([0, *map(len, tokens[:-1])])
        return self._scores(sentences, tokens, np.add.reduceat(nats, starts))

    def _tokens(self, sentences: Sequence[Sentence]) -> list[list[int]]:
        """Ids of each sentence, its words joined by spaces, and of its newline."""
        texts = [" ".join(sentence) for sentence in sentences]
        ids = self.tokenizer(texts, add_special_tokens=False).input_ids if texts else []
        for text, row in zip(texts, ids, strict=True):
            if text and not row:
                raise CeaeError(f"critic gpt2: its tokenizer finds no token in {text!r}")
        return [[*row, *self.newline] for row in ids]

    def _batches(self, order: Sequence[int], tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Sentences of rising length, as many as fit into one window; a longer one comes alone."""
        batch: list[int] = []
        for i in order:
            if batch and (len(batch) + 1) * len(tokens[i]) > self.window:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    @torch.no_grad()
    def _together(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Nats of each of B short token sequences (B,); attention looks back only, so the padding is never seen."""
        longest, device = max(map(len, rows)), self.model.device
        y = torch.tensor([[*row, *[self.prefix] * (longest - len(row))] for row in rows], device=device)    # (B, T)
        real = torch.arange(longest, device=device) < torch.tensor([len(row) for row in rows], device=device)[:, None]
        x = torch.cat([torch.full_like(y[:, :1], self.prefix), y[:, :-1]], 1)
        logits = self.model(input_ids=x, attention_mask=real.long()).logits                                # (B, T, V)
        nats = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y)
        return (nats.double() * real).sum(1).cpu().numpy()

    @torch.no_grad()
    def _stream(self, tokens: Sequence[int]) -> np.ndarray:
        """Nats of each of M tokens (M,), windows one after the other."""
        y = torch.tensor(tokens, device=self.model.device)
        x = torch.cat([y.new_full((1,), self.prefix), y[:-1]])
        nats = np.empty(len(tokens))
        for begin, end, first in windows(len(tokens), self.window, self.stride):
            logits = self.model(input_ids=x[begin:end].unsqueeze(0), logits_to_keep=end - first).logits[0]
            nats[first:end] = F.cross_entropy(logits, y[first:end], reduction="none").double().cpu().numpy()
        return nats

    def _scores(self, sentences: Sequence[Sentence], tokens: Sequence[Sequence[int]], nats: np.ndarray) -> Scores:
        none = np.zeros(len(tokens))
        return Scores(nats=nats, positions=np.array([len(row) for row in tokens], int),
                      words=np.array([len(sentence) + 1 for sentence in sentences], int), oov=none.astype(int),
                      oov_nats=none)


def load(source: str | Path = SOURCE, *, window: int | None = None, stride: int | None = None, download: bool = True,
         device: str = "auto") -> Gpt2Critic:
    """The critic from a local folder, or by its name on the hub.

    `window` defaults to all positions that the model has (GPT-2: 1,024), `stride` to half of that.  With
    `download=False` a name is looked up in the local cache only.  Raises NotRun where weights are missing, and says how
    to get them, CeaeError where they are damaged.
    """
    where = choose_device(device)
    found = pretrained.load(source, "causal", "critic gpt2", download=download)
    model, tokenizer = found.model, found.tokenizer
    positions = getattr(model.config, "max_position_embeddings", None)
    window = positions if window is None else window
    if not window or not 1 <= window <= (positions or window):
        raise CeaeError(f"critic gpt2: window must be 1 to {positions}, the positions of the model, not {window}")
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= stride <= window:
        raise CeaeError(f"critic gpt2: stride must be 1 to {window}, the window, not {stride}")
    settings = {"model": found.name, "weights_sha256": found.sha256,
                "parameters": model.num_parameters(), "tokens": len(tokenizer), "window": window, "stride": stride,
                "text": "words joined by spaces", "before": "an end of text", "end": "a newline, predicted and counted",
                "unknown": "none: every word is spelled in subwords"}
    return Gpt2Critic(model.to(where), tokenizer, settings, stride, window)


def _prefix(tokenizer: Any) -> int:
    """The end of text, after which another begins."""
    for token in (tokenizer.eos_token_id, tokenizer.bos_token_id):
        if token is not None:
            return token
    raise CeaeError("critic gpt2: its tokenizer names no end of text (eos_token)")

