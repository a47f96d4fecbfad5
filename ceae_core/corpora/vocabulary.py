"""Words and their numbers, by the two rules of the literature.

The rules differ in the order of the rows, hence in the seed-for-seed course of a training, not in what a model can say.
"""
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from ceae_core.errors import CeaeError

PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"
RULES: dict[str, tuple[tuple[str, ...], int | None]] = {     # rule -> (first rows, how many further words at most)
    "bn": ((PAD, BOS, EOS, UNK), None),
    "ivae": ((PAD, UNK, BOS, EOS), 70_000),
}


@dataclass(frozen=True)
class Vocabulary:
    """An immutable list of words; a word's position is its id.  `pad`, `bos`, `eos` and `unk` are ids."""

    words: tuple[str, ...]
    pad: int
    bos: int
    eos: int
    unk: int

    def __post_init__(self) -> None:
        special = (self.pad, self.bos, self.eos, self.unk)
        if len(set(self.words)) != len(self.words):
            repeated = next(word for word, n in Counter(self.words).items() if n > 1)
            raise CeaeError(f"vocabulary: the word {repeated!r} occurs twice; every word needs one row")
        if len(set(special)) != 4 or not all(0 <= i < len(self.words) for i in special):
            raise CeaeError(f"vocabulary: pad, bos, eos, unk are {special}; they must be four different rows "
                            f"of the {len(self.words)}")

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def index(self) -> dict[str, int]:
        """word -> id"""
        return {word: i for i, word in enumerate(self.words)}

    def encode(self, sentence: Iterable[str]) -> list[int]:
        """Ids of `<s> sentence </s>`, length + 2 of them; a word without a row becomes `unk`."""
        get, unk = self.index.get, self.unk
        return [self.bos, *(get(word, unk) for word in sentence), self.eos]

    def decode(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Words up to the first `eos`, without `bos` and `pad`; takes a list, an array or a tensor of ids."""
        words = []
        for i in map(int, ids):
            if i == self.eos:
                break
            if i not in (self.bos, self.pad):
                words.append(self.words[i])
        return tuple(words)

    def to_json(self) -> str:
        """One JSON object, stable to the byte."""
        return json.dumps({"pad": self.pad, "bos": self.bos, "eos": self.eos, "unk": self.unk, "words": self.words},
                          ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """Inverse of `to_json`; CeaeError when the text is not a vocabulary."""
        try:
            fields = json.loads(text)
            words = tuple(fields["words"])
            special = {name: int(fields[name]) for name in ("pad", "bos", "eos", "unk")}
        except (ValueError, KeyError, TypeError) as error:
            raise CeaeError(f"vocabulary: not a JSON object with words, pad, bos, eos and unk ({error!r})") from None
        return cls(words, **special)


def build(sentences: Iterable[tuple[str, ...]], rule: str, at_most: int | None = None) -> Vocabulary:
    """The vocabulary of training sentences.

    rule "bn"   : <pad> <s> </s> <unk>, then the words in order of first occurrence (BN-VAE and its relatives).
    rule "ivae" : <pad> <unk> <s> </s>, then the 70,000 most frequent words, most frequent first (iVAE, SA-VAE).
    at_most     : keep that many of the most frequent words; equally frequent ones in order of first occurrence.

    `<unk>` in the text is the reserved row; any other spelling of the unknown word (`_UNK`) is an ordinary word, as in
    the public implementations.  CeaeError for an unknown rule.
    """
    if rule not in RULES:
        raise CeaeError(f"vocabulary: unknown rule {rule!r}; choose from {', '.join(RULES)}")
    reserved, limit = RULES[rule]
    count = Counter(word for sentence in sentences for word in sentence)
    for word in reserved:
        count.pop(word, None)
    limit = min((n for n in (limit, at_most) if n is not None), default=len(count))
    frequent = [word for word, _ in count.most_common(limit)]
    kept = frequent if rule == "ivae" else filter(set(frequent).__contains__, count)
    words = (*reserved, *kept)
    return Vocabulary(words, *(reserved.index(word) for word in (PAD, BOS, EOS, UNK)))
