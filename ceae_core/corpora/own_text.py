"""Text that nobody prepared: one file, read leniently and split by the hash of each sentence, with notes on it all."""
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from ceae_core.corpora import files
from ceae_core.corpora.vocabulary import UNK
from ceae_core.errors import CeaeError

LEAST_SENTENCES = 10
HELD_OUT = .05                                              # share of the different sentences, for valid and for test
Sentence = tuple[str, ...]
Rows = tuple[list[Sentence], list[int]]                     # sentences and their labels (an empty list without labels)


def hash_order(sentences: Iterable[Sentence]) -> list[Sentence]:
    """The different sentences in the order of their sha256: random-like, and independent of the order they come in."""
    return sorted(set(sentences), key=lambda sentence: sha256(" ".join(sentence).encode("utf-8")).digest())


def keep(rows: Rows, wanted: set[Sentence]) -> Rows:
    """The rows whose sentence is wanted, in their order."""
    sentences, labels = rows
    kept = [i for i, sentence in enumerate(sentences) if sentence in wanted]
    return [sentences[i] for i in kept], [labels[i] for i in kept if labels]


def split(path: Path, max_tokens: int) -> tuple[dict[str, Rows], tuple[str, ...]]:
    """{train, valid, test} of one plain text file, and notes on what was done to it.

    Of the different sentences, 5 % go to valid and 5 % to test (at least one each), by their hash: copies of a sentence
    share a split and the order of the lines does not matter.  CeaeError for fewer than 10 different sentences, and
    where the file is not UTF-8 text.
    """
    rows, notes = _clean(files.lines(files.read(path), path), max_tokens)
    order = hash_order(rows[0])
    if len(order) < LEAST_SENTENCES:
        raise CeaeError(f"{path}: {len(order)} different sentences, too few to split into train, valid and test; "
                        f"expected one sentence per line and at least {LEAST_SENTENCES} different ones")
    held = max(1, round(HELD_OUT * len(order)))
    shares = {"train": order[2 * held:], "valid": order[:held], "test": order[held:2 * held]}
    notes.append(f"split by hash: {len(order):,} different sentences of {len(rows[0]):,}, "
                 f"{HELD_OUT:.0%} each for validation and test")
    return {name: keep(rows, set(share)) for name, share in shares.items()}, tuple(notes)


def is_labelled(found: Sequence[str]) -> bool:
    """Does every line that is not blank read integer<TAB>text, and is there one?"""
    return all(map(files.has_label, filter(str.strip, found))) and any(map(str.strip, found))


def _clean(found: list[str], max_tokens: int) -> tuple[Rows, list[str]]:
    """Rows of at most `max_tokens` words without reserved words, and notes; blank lines separate and are skipped."""
    tabbed = is_labelled(found)
    sentences, labels = [], []
    blank = cut = reserved = 0
    for line in found:
        label, _, text = line.partition("\t") if tabbed and line.strip() else ("", "", line)
        sentence = files.words(text)
        if not files.RESERVED.isdisjoint(sentence):
            reserved += sum(word in files.RESERVED for word in sentence)
            sentence = tuple(word for word in sentence if word not in files.RESERVED)
        blank += not sentence
        pieces = _pieces(sentence, max_tokens)
        cut += len(pieces) > 1
        sentences += pieces
        labels += [int(label) for _ in pieces if tabbed]
    unknown = sum(sentence.count(UNK) for sentence in sentences)
    notes = [(blank, "blank lines skipped"),
             (cut, f"lines over {max_tokens} words cut at sentence ends (. ! ?) or else after {max_tokens} words"),
             (reserved, "words <pad>, <s>, </s> removed: they are reserved for the vocabulary"),
             (unknown, f"words {UNK} read as the unknown word"),
             (len(sentences) * tabbed, "integers before a tab read as labels")]
    return (sentences, labels), [f"{count:,} {what}" for count, what in notes if count]


def _pieces(sentence: Sentence, max_tokens: int) -> list[Sentence]:
    """The sentence, or if it is over the limit its parts: ended by . ! ?, and none over the limit."""
    if len(sentence) <= max_tokens:
        return [sentence] if sentence else []
    pieces, start = [], 0
    for end, word in enumerate(sentence, start=1):
        ends_here = word.rstrip("\"'”’)]}").endswith((".", "!", "?", "…"))
        if ends_here or end - start == max_tokens or end == len(sentence):
            pieces.append(sentence[start:end])
            start = end
    return pieces
