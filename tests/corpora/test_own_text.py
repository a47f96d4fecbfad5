"""One unprepared file: the split leaks nothing, does not depend on the order of lines, and what is done is said."""
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ceae_core import corpora
from ceae_core.corpora import own_text
from ceae_core.errors import CeaeError

LINES = [f"sentence number {i} ." for i in range(200)]


def membership(corpus):
    return {name: frozenset(split.sentences) for name, split in corpus.splits.items()}


def test_shares_and_name(write):
    corpus = corpora.load(write("My Diary 2.txt", "\n".join(LINES)))
    assert corpus.name == "my-diary-2" and corpus.unknown is None
    assert [len(s) for s in corpus.splits.values()] == [180, 10, 10]
    assert corpus.notes == ("split by hash: 200 different sentences of 200, 5% each for validation and test",)
    order = [LINES.index(" ".join(s)) for s in corpus.splits["train"].sentences]
    assert order == sorted(order)                                               # the order of the file, otherwise


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("ab", min_size=1, max_size=5), min_size=30, max_size=120), st.randoms())
def test_nothing_leaks_and_order_does_not_matter(tmp_path_factory, texts, shuffler):
    lines = [*texts, *(f"c{i}" for i in range(10)), *texts[:10]]                # at least 10 different, some repeated
    path = tmp_path_factory.mktemp("own") / "text.txt"
    path.write_text("\n".join(lines))
    first = corpora.load(path)
    sets = membership(first)
    assert not sets["train"] & sets["valid"] and not sets["train"] & sets["test"] and not sets["valid"] & sets["test"]
    assert sum(map(len, first.splits.values())) == len(lines)
    assert sorted(s for split in first.splits.values() for s in split.sentences) == sorted((line,) for line in lines)
    assert all(sets.values())
    shuffler.shuffle(lines)
    path.write_text("\n".join(lines))
    assert membership(corpora.load(path)) == sets


def test_one_more_sentence_moves_few(write):
    before = membership(corpora.load(write("a.txt", "\n".join(LINES))))
    after = membership(corpora.load(write("b.txt", "\n".join([*LINES, "a new one"]))))
    assert len(before["train"] - after["train"]) <= 2


def test_limit_takes_the_first_of_each_split(write):
    path = write("text.txt", "\n".join(LINES))
    whole, part = corpora.load(path), corpora.load(path, limit={"train": 20, "valid": 3, "test": 100})
    assert part.splits["train"].sentences == whole.splits["train"].sentences[:20]
    assert [len(s) for s in part.splits.values()] == [20, 3, 10]


def test_messy_text_is_repaired_and_noted(write):
    lines = [*LINES, "", "  ", "\t", "<s> marked up </s>", "an <unk> word", "An end. " * 150, "no end " * 150]
    corpus = corpora.load(write("messy.txt", "\ufeff" + "\r\n".join(lines)))
    sentences = [s for split in corpus.splits.values() for s in split.sentences]
    assert ("marked", "up") in sentences
    assert sentences.count(("An", "end.")) == 150
    assert max(map(len, sentences)) == 200 and ("no", "end") * 50 in sentences
    assert len(sentences) == 200 + 1 + 1 + 150 + 2
    assert corpus.unknown == "<unk>" or ("an", "<unk>", "word") not in corpus.splits["train"].sentences
    assert corpus.notes[:4] == (
        "3 blank lines skipped", "2 lines over 200 words cut at sentence ends (. ! ?) or else after 200 words",
        "2 words <pad>, <s>, </s> removed: they are reserved for the vocabulary",
        "1 words <unk> read as the unknown word")


def test_quoted_ends_are_ends():
    sentence = ("he", "said", '"no."', "then", "left!)", "and", "so")
    assert own_text._pieces(sentence, 6) == [sentence[:3], sentence[3:5], sentence[5:]]
    assert own_text._pieces(sentence, 7) == [sentence]
    assert own_text._pieces(("a",) * 7, 3) == [("a",) * 3, ("a",) * 3, ("a",)]
    assert own_text._pieces((), 3) == []


@given(st.lists(st.sampled_from(["a", "b.", "?", "c"]), max_size=40).map(tuple), st.integers(1, 8))
def test_pieces_are_the_sentence_and_keep_the_limit(sentence, limit):
    pieces = own_text._pieces(sentence, limit)
    assert sum(pieces, ()) == sentence
    assert all(1 <= len(piece) <= limit for piece in pieces)


def test_labels_are_read_when_every_line_has_one(write):
    lines = [f"{i % 3}\t{line}" for i, line in enumerate(LINES)]
    corpus = corpora.load(write("labelled.txt", "\n".join(["", *lines, " "])))
    for split in corpus.splits.values():
        for sentence, label in zip(split.sentences, split.labels["label"], strict=True):
            assert label == int(sentence[2]) % 3
    assert "200 integers before a tab read as labels" in corpus.notes
    mixed = corpora.load(write("mixed.txt", "\n".join([*lines, "no label here"])))
    assert mixed.splits["train"].labels == {} and mixed.splits["train"].sentences[0][1] == "sentence"


@pytest.mark.parametrize("content, message", [
    ("", "text.txt: 0 different sentences, too few"), ("\n\n\n", "text.txt: 0 different sentences, too few"),
    ("same\n" * 100, "text.txt: 1 different sentences, too few"), ("\n".join("abcdefghi"), "9 different sentences"),
    (b"fine\n\x00\x01\n", "line 2: a NUL byte"), (b"fine\n\xff\xfe\n", "line 2: byte 0xff is not valid UTF-8"),
    ("hello\n".encode("utf-16"), "line 1: a NUL byte.*UTF-16")])
def test_what_cannot_be_repaired(write, content, message):
    with pytest.raises(CeaeError, match=message):
        corpora.load(write("text.txt", content))


def test_ten_sentences_are_enough(write):
    corpus = corpora.load(write("text.txt", "\n".join(random.sample("abcdefghij", 10))))
    assert [len(s) for s in corpus.splits.values()] == [8, 1, 1]
