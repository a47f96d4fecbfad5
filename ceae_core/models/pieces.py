"""From the corpus's words to the tokens of a pretrained model, and back.

Word pieces of BERT and byte pairs of GPT-2 never cross a space, so the tokens of a sentence are those of its words, one
word after the other, and a table with a row for each word of the vocabulary says it all.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from ceae_core.corpora.vocabulary import Vocabulary
from ceae_core.errors import CeaeError

NONE = -1               # fills the rows of a table


class Pieces(nn.Module):
    """The tokens of each word: table (V, P), shorter rows end in NONE."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Word ids x (B, T), padded with 0 -> tokens (B, S), padded with 0, and how many are real (B,)."""
        tokens = self.table[x].flatten(1)                                               # (B, T * P)
        real = tokens != NONE
        lengths = real.sum(1)
        order = (~real).to(torch.uint8).argsort(dim=1, stable=True)[:, :int(lengths.max())]
        return tokens.gather(1, order).clamp(min=0), lengths


def table(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Lists of tokens, one for each word -> (V, P)."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[NONE] * (width - len(row))] for row in rows])


def word_pieces(vocabulary: Vocabulary, tokenizer: Any, who: str) -> list[list[int]]:
    """The word pieces of each word of the vocabulary; a sentence goes from [CLS] to [SEP], the unknown word is [UNK].

    Raises CeaeError for a tokenizer without these three.
    """
    special = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id
    if None in special:
        raise CeaeError(f"{who}: its tokenizer lacks [CLS], [SEP] or [UNK]; give an encoder of BERT's kind")
    rows = tokenizer(list(vocabulary.words), add_special_tokens=False).input_ids
    start, end, unknown = special
    # a word of which the tokenizer leaves nothing is unknown to it, too
    return _with_symbols([row or [unknown] for row in rows], vocabulary, start, end, [unknown])


def byte_pairs(vocabulary: Vocabulary, tokenizer: Any, start: int, end: int, who: str) -> list[list[int]]:
    """The byte pairs of each word of the vocabulary with the space before it; a sentence goes from `start` to `end`.

    The unknown word is spelled as it stands in text.  Raises CeaeError for a tokenizer that does not keep every word.
    """
    rows = tokenizer([f" {word}" for word in vocabulary.words], add_special_tokens=False).input_ids
    spelled = Subwords(*spellings(tokenizer, start), start, end)
    for word, row in zip(vocabulary.words, rows, strict=True):
        if spelled.text(row) != f" {word}":
            raise CeaeError(f"{who}: its tokenizer makes {spelled.text(row)!r} of ' {word}'; give a decoder with "
                            "GPT-2's byte-level tokenizer")
    return _with_symbols(rows, vocabulary, start, end, rows[vocabulary.unk])


def _with_symbols(rows: list[list[int]], vocabulary: Vocabulary, start: int, end: int, unknown: list[int],
                  ) -> list[list[int]]:
    for place, row in ((vocabulary.pad, []), (vocabulary.bos, [start]), (vocabulary.eos, [end]),
                       (vocabulary.unk, unknown)):
        rows[place] = row
    return rows


def spellings(tokenizer: Any, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The bytes of the first `count` tokens, one after the other, and where each begins (count + 1,)."""
    by_letter = _bytes_by_letter()
    texts = [bytes(by_letter.get(letter, ord("?")) for letter in token or "")
             for token in tokenizer.convert_ids_to_tokens(list(range(min(count, len(tokenizer)))))]
    texts += [b""] * (count - len(texts))               # rows of a model beyond its tokenizer
    starts = torch.tensor([0, *map(len, texts)]).cumsum(0)
    return torch.frombuffer(bytearray(b"".join(texts)), dtype=torch.uint8), starts


def _bytes_by_letter() -> dict[str, int]:
    """GPT-2's letters for the 256 bytes: printable ones stand for themselves, others follow from U+0100 on
    (radford2019language, its published tokenizer)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


class Subwords(nn.Module):
    """What decoding needs in a vocabulary's place: the ids of a sentence's start and end, and words from tokens."""

    def __init__(self, letters: torch.Tensor, starts: torch.Tensor, bos: int, eos: int) -> None:
        super().__init__()
        self.register_buffer("letters", letters)
        self.register_buffer("starts", starts)
        self.pad = self.bos = bos           # padding is nothing that a decoder could say
        self.eos = eos

    def text(self, tokens: Iterable[int]) -> str:
        """The text of tokens."""
        pairs = ((int(self.starts[i]), int(self.starts[i + 1])) for i in tokens)
        return b"".join(bytes(self.letters[a:b].tolist()) for a, b in pairs).decode("utf-8", errors="replace")

    def decode(self, tokens: Iterable[int]) -> tuple[str, ...]:
        """The words, split at spaces, before the first `eos`."""
        kept = []
        for token in map(int, tokens):
            if token == self.eos:
                break
            kept.append(token)
        return tuple(self.text(kept).split())
