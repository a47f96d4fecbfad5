"""A corpus in memory, and the ways to one: by name from the table, or by path from anybody's text."""
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ceae_core.corpora import files, oracle, own_text, table
from ceae_core.corpora.own_text import Rows
from ceae_core.corpora.vocabulary import UNK, Vocabulary, build
from ceae_core.errors import CeaeError

ORACLE_SEEDS = {"train": 0, "valid": 1, "test": 2}
OWN_TEXT_WORDS = 20_000                                     # rows of the vocabulary of own text, besides the reserved


@dataclass(frozen=True, eq=False)
class Split:
    """Sentences and, by name, their labels: arrays (n,) of integers or strings, none for corpora without labels."""

    sentences: list[tuple[str, ...]]
    labels: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.sentences)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Three splits.  `unknown` is the text's spelling of the unknown word; `notes` say what was done to own text."""

    name: str
    splits: dict[str, Split]
    unknown: str | None = None
    notes: tuple[str, ...] = ()
    vocabulary_words: int | None = None                     # most words a vocabulary takes; None: all

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: every sentence and label of every split, whatever files or limits they came from."""
        header = json.dumps({"unknown": self.unknown, "vocabulary_words": self.vocabulary_words})
        digest = hashlib.sha256(header.encode())
        for name, split in self.splits.items():
            columns = {"sentences": map(" ".join, split.sentences), **split.labels}
            for column, values in columns.items():
                digest.update(f"\0{name}\0{column}\0{len(split)}\0".encode())
                digest.update("\n".join(map(str, values)).encode())
        return digest.hexdigest()

    def vocabulary(self, rule: str = "bn") -> Vocabulary:
        """Vocabulary of the training split by `rule` (see `vocabulary.build`); own text keeps 20,000 words."""
        return build(self.splits["train"].sentences, rule, self.vocabulary_words)


def load(corpus: str | Path | None = None, data: Path | str | None = None, *, train: Path | str | None = None,
         valid: Path | str | None = None, test: Path | str | None = None, limit: Mapping[str, int] | None = None,
         max_tokens: int = table.MAX_TOKENS) -> Corpus:
    """The corpus of that name, or the text at that path.

    corpus : a name of `table.CORPORA`; or a text file, split by hash (`own_text.split`); or a folder with train.txt,
             valid.txt and test.txt.  With `train`, `valid` and `test` (all three) it may only name the corpus.
    data   : folder with the files of the table's corpora; default: the environment variable CEAE_DATA.
    limit  : sentences per split; the oracle corpus draws that many, the others take the first ones, of labelled text
             the first ones of each label, which keep their shares.
    max_tokens : words per sentence; longer lines are errors, except in a single text file, where they are cut.

    CeaeError for an unknown name, missing or altered files, and malformed text; it says where and what to do.
    """
    limit = _checked_limit(limit or {})
    if max_tokens < 1:
        raise CeaeError(f"max_tokens is {max_tokens}; a sentence must be allowed at least 1 word")
    name = None if corpus is None else str(corpus)
    given = {"train": train, "valid": valid, "test": test}
    if any(given.values()):
        if name in table.CORPORA and name != "oracle":
            raise CeaeError(f"corpus {name!r} is a published corpus and cannot be the name of own files; leave it out")
        name = None if name == "oracle" else name                      # the default of the command line, not a name
        return _limited(_own_files(name, given, max_tokens), limit)
    if name == "oracle":
        return _oracle(limit)
    if name in table.CORPORA:
        return _limited(_from_table(table.CORPORA[name], table.data_folder(data), max_tokens), limit)
    path = Path(name or "").expanduser()
    if name and path.is_dir():
        inside = {split: path / f"{split}.txt" for split in table.SPLITS}
        return _limited(_own_files(path.resolve().name, inside, max_tokens), limit)
    if name and path.is_file():
        splits, notes = own_text.split(path, max_tokens)
        return _limited(_own(path.stem, splits, notes), limit)
    raise CeaeError(f"corpus {name!r} is neither a known name ({', '.join(table.CORPORA)}) nor a text file or a folder "
                    "with train.txt, valid.txt and test.txt")


def _checked_limit(limit: Mapping[str, int]) -> Mapping[str, int]:
    for split, n in limit.items():
        if split not in table.SPLITS or n < 1:
            raise CeaeError(f"limit {split}={n}: expected at least 1 sentence for train, valid or test")
    return limit


def _limited(corpus: Corpus, limit: Mapping[str, int]) -> Corpus:
    return replace(corpus, splits={name: _first(split, limit[name]) if name in limit else split
                                   for name, split in corpus.splits.items()})


def _first(split: Split, count: int) -> Split:
    """The first sentences; where there are labels, the first of each in the shares of the whole split (some corpora
    have one file per label, one after the other)."""
    rows = np.arange(len(split.sentences))
    if split.labels:
        values = next(iter(split.labels.values()))
        _, kind, size = np.unique(values, return_inverse=True, return_counts=True)
        place = np.zeros(len(values))                           # of each sentence among those of its label, 0 to 1
        for each, total in enumerate(size):
            place[kind == each] = (np.arange(total) + 0.5) / total
        rows = np.argsort(place, kind="stable")
    rows = np.sort(rows[:count])
    return Split([split.sentences[i] for i in rows], {name: values[rows] for name, values in split.labels.items()})


def _split(rows: Rows, label: str | None) -> Split:
    sentences, labels = rows
    return Split(sentences, {label: np.array(labels)} if label and labels else {})


def _oracle(limit: Mapping[str, int]) -> Corpus:
    splits = {}
    for name, part in table.CORPORA["oracle"].splits.items():
        sample = oracle.default().sample(limit.get(name, part.sentences), ORACLE_SEEDS[name])
        splits[name] = Split(sample.sentences, sample.labels)
    return Corpus("oracle", splits)


def _from_table(entry: table.Entry, folder: Path | None, max_tokens: int) -> Corpus:
    missing = [f.path for f in entry.files if folder is None or not (folder / f.path).is_file()]
    if missing:
        where = "no data folder is given: set CEAE_DATA or pass --data" if folder is None else f"{folder} lacks them"
        raise CeaeError(f"corpus {entry.name} needs {', '.join(missing)} in the data folder, but {where}; "
                        f"`ceae data fetch {entry.name}` tries to download them (source: {entry.source})")
    parsed = {f: _published(f, entry, folder, max_tokens) for f in entry.files}
    splits = {}
    for name, part in entry.splits.items():
        rows = _joined(parsed[f] for f in part.files)
        order = own_text.hash_order(rows[0]) if part.share != (0., 1.) or part.without else None
        if order is not None:
            first, last = (round(edge * len(order)) for edge in part.share)
            dropped = {sentence for f in part.without for sentence in parsed[f][0]}
            rows = own_text.keep(rows, set(order[first:last]) - dropped)
        splits[name] = _split(rows, entry.label)
    return Corpus(entry.name, splits, entry.unknown)


def _published(file: table.File, entry: table.Entry, folder: Path, max_tokens: int) -> Rows:
    """Sentences and labels of a file of the table, once its checksum is right."""
    path = folder / file.path
    content = files.read(path)
    if difference := files.differs(file, content):
        raise CeaeError(f"{path}: not the published file of corpus {entry.name} ({difference}); move it away and run "
                        f"`ceae data fetch {entry.name}`, or use it as own text with --train, --valid and --test")
    found = files.lines(content, path)
    sentences, labels = files.parse(found, path, file.tabbed, max_tokens)
    return sentences, labels or [file.label] * len(sentences) * (file.label is not None)


def _joined(rows: Iterable[Rows]) -> Rows:
    sentences, labels = [], []
    for more, their in rows:
        sentences += more
        labels += their
    return sentences, labels


def _own_files(name: str | None, given: Mapping[str, Path | str | None], max_tokens: int) -> Corpus:
    """Own text in three files, read strictly; labelled when the first line of the training file is."""
    if absent := [split for split, path in given.items() if not path]:
        raise CeaeError(f"own text needs three files, but no {' and no '.join(absent)} file is given; "
                        "pass train, valid and test, or one file as the corpus to have it split")
    paths = {split: Path(path).expanduser() for split, path in given.items()}
    found = {split: files.lines(files.read(path), path) for split, path in paths.items()}
    tabbed = bool(found["train"]) and files.has_label(found["train"][0])
    rows = {split: files.parse(found[split], path, tabbed, max_tokens) for split, path in paths.items()}
    return _own(name or paths["train"].stem, rows, ())


def _own(name: str, rows: Mapping[str, Rows], notes: tuple[str, ...]) -> Corpus:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "text"
    slug = f"own-{slug}" if slug in table.CORPORA else slug             # own text never passes for a published corpus
    unknown = UNK if any(UNK in sentence for sentence in rows["train"][0]) else None
    return Corpus(slug, {split: _split(rows[split], "label") for split in table.SPLITS}, unknown, notes, OWN_TEXT_WORDS)
