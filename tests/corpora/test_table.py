"""The table against itself and, where the data are at hand, against the files."""
import re

import numpy as np
import pytest

from ceae_core import corpora
from ceae_core.corpora import files, table
from ceae_core.errors import CeaeError

HERE = ["ptb", "yahoo-10k", "short-yelp-10k", "shen-yelp-devtest"]     # whose files the folder of real corpora holds


def test_every_entry_says_what_it_must():
    assert set(table.CORPORA) == {"ptb", "yahoo", "yelp", "short-yelp", "short-yelp-10k", "shen-yelp",
                                  "shen-yelp-devtest", "yahoo-10k", "oracle"}
    for entry in table.CORPORA.values():
        assert set(entry.splits) == set(table.SPLITS)
        assert entry.title and entry.licence and entry.source
        assert all(part.sentences > 0 for part in entry.splits.values())
        for file in entry.files:
            assert re.fullmatch("[0-9a-f]{40}", file.blob)
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert all(url.startswith("https://") for url in file.urls)
            assert (file.label is None and not file.tabbed) or entry.label


def test_label_formats():
    formats = {name: entry.label_format for name, entry in table.CORPORA.items()}
    assert formats["ptb"] == formats["yahoo"] == "none"
    assert formats["yelp"] == formats["short-yelp"] == "label<TAB>text"
    assert formats["shen-yelp"] == formats["shen-yelp-devtest"] == "one file per label"


def test_unknown_word_spellings():
    assert {name: entry.unknown for name, entry in table.CORPORA.items()} == {
        "ptb": "<unk>", "yahoo": "_UNK", "yahoo-10k": "_UNK", "yelp": "_UNK", "short-yelp": "<unk>",
        "short-yelp-10k": "<unk>", "shen-yelp": None, "shen-yelp-devtest": None, "oracle": None}


def test_both_checksums_of_a_file_agree(data):
    for entry in table.CORPORA.values():
        for file in entry.files:
            if (data / file.path).is_file():
                content = (data / file.path).read_bytes()
                assert files.differs(file, content) is None
                assert files.differs(table.File(file.path, file.blob), content) is None


@pytest.mark.parametrize("name", HERE)
def test_sentence_counts_and_labels(data, name):
    corpus = corpora.load(name, data)
    entry = table.CORPORA[name]
    assert {split: len(s) for split, s in corpus.splits.items()} == {s: p.sentences for s, p in entry.splits.items()}
    for split in corpus.splits.values():
        assert list(split.labels) == ([entry.label] if entry.label else [])
        for values in split.labels.values():
            assert len(values) == len(split) and set(np.unique(values)) == {0, 1}


def test_files_at_hand_of_corpora_that_are_not_whole(data):
    short, shen = table.CORPORA["short-yelp"], table.CORPORA["shen-yelp"]
    for part in (short.splits["valid"], short.splits["test"], shen.splits["valid"], shen.splits["test"]):
        found = 0
        for file in part.files:
            lines = files.lines((data / file.path).read_bytes(), data / file.path)
            found += len(files.parse(lines, data / file.path, file.tabbed, 15)[0])
        assert found == part.sentences


def test_devtest_shares_no_sentence_with_its_other_splits_or_with_short_yelp(data):
    splits = corpora.load("shen-yelp-devtest", data).splits
    sets = [set(split.sentences) for split in splits.values()]
    for part in (table.CORPORA["short-yelp"].splits[s].files[0] for s in ("valid", "test")):
        lines = files.lines((data / part.path).read_bytes(), data / part.path)
        sets.append(set(files.parse(lines, data / part.path, True, 200)[0]))
    for other in (1, 2, 3, 4):
        assert not sets[0] & sets[other]
    assert not sets[1] & sets[2] and not (sets[1] | sets[2]) & (sets[3] | sets[4])


def test_yahoo_10k_halves_the_validation_file(data):
    splits = corpora.load("yahoo-10k", data).splits
    path = data / "yahoo/valid.txt"
    whole = files.parse(files.lines(path.read_bytes(), path), path, False, 200)[0]
    assert sorted(splits["train"].sentences + splits["valid"].sentences) == sorted(whole)


def test_short_yelp_10k_begins_with_the_published_subsets(data):
    train = corpora.load("short-yelp-10k", data).splits["train"]
    for count in (100, 500, 1000, 2000):
        path = data / f"short-yelp/short_yelp.train.{count}.txt"
        sentences, labels = files.parse(files.lines(path.read_bytes(), path), path, True, 200)
        assert sentences == train.sentences[:count] and labels == train.labels["sentiment"][:count].tolist()


def test_describe(data, tmp_path):
    rows = {row["name"]: row for row in corpora.describe(data)}
    assert list(rows) == list(table.CORPORA)
    assert rows["ptb"]["ready"] and rows["ptb"]["missing"] == [] and rows["ptb"]["train"] == 42_068
    assert not rows["yahoo"]["ready"] and rows["yahoo"]["missing"] == ["yahoo/train.txt"]
    assert rows["oracle"]["ready"] and rows["oracle"]["files"] == []
    empty = {row["name"]: row for row in corpora.describe(tmp_path)}
    assert empty["ptb"]["missing"] == ["ptb/train.txt", "ptb/valid.txt", "ptb/test.txt"] and empty["oracle"]["ready"]


def test_describe_without_a_data_folder(monkeypatch):
    monkeypatch.delenv("CEAE_DATA", raising=False)
    assert [row["name"] for row in corpora.describe() if row["ready"]] == ["oracle"]


def test_unknown_entry():
    with pytest.raises(CeaeError, match="choose from oracle, ptb"):
        table.entry("penn")
