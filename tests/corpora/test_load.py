"""Loading by name and by path, and what happens when the text is not what it should be."""
import hashlib

import numpy as np
import pytest

from ceae_core import corpora
from ceae_core.corpora import table
from ceae_core.corpora.table import Entry, File, Part
from ceae_core.errors import CeaeError

GOOD = "one sentence .\nanother sentence .\n"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """toy(train=..., ...) puts a corpus of the table, called toy, into the data folder that is returned."""
    def installed(tabbed=False, altered=False, **contents):
        splits = {}
        for split in table.SPLITS:
            content = contents.get(split, GOOD if not tabbed else "1\tgood .\n0\tbad .\n")
            raw = content if isinstance(content, bytes) else content.encode()
            (tmp_path / "toy").mkdir(exist_ok=True)
            (tmp_path / "toy" / f"{split}.txt").write_bytes(raw + b"more words\n" * altered)
            sha = hashlib.sha256(raw).hexdigest()
            splits[split] = Part((File(f"toy/{split}.txt", "0" * 40, sha, tabbed=tabbed),), 2)
        label = "mood" if tabbed else None
        monkeypatch.setitem(table.CORPORA, "toy", Entry("toy", "Toy", splits, "none", "the toy shop", label=label))
        return tmp_path
    return installed


def own_files(write, **contents):
    return {split: write(f"{split}.txt", contents.get(split, GOOD)) for split in table.SPLITS}


# ---- by name ---------------------------------------------------------------------------------------------------------

def test_oracle():
    corpus = corpora.load("oracle", limit={"train": 300, "valid": 20, "test": 10})
    assert corpus.name == "oracle" and [len(s) for s in corpus.splits.values()] == [300, 20, 10]
    assert list(corpus.splits) == ["train", "valid", "test"]
    train = corpora.oracle.default().sample(300, seed=0)
    assert corpus.splits["train"].sentences == train.sentences
    for name in ("sentiment", "topic", "style", "tense", "narrator"):
        assert (corpus.splits["train"].labels[name] == train.labels[name]).all()
    assert corpus.splits["valid"].sentences == corpora.oracle.default().sample(20, seed=1).sentences
    assert corpus.splits["test"].sentences == corpora.oracle.default().sample(10, seed=2).sentences


def test_oracle_without_limits_is_the_recorded_corpus():
    train = corpora.load("oracle").splits["train"]
    assert hashlib.sha256("\n".join(map(" ".join, train.sentences)).encode()).hexdigest()[:16] == "5913cf173821d552"


def test_penn_treebank(data, monkeypatch):
    monkeypatch.setenv("CEAE_DATA", str(data))
    corpus = corpora.load("ptb", limit={"train": 50})
    assert corpus.unknown == "<unk>" and corpus.notes == ()
    assert [len(s) for s in corpus.splits.values()] == [50, 3_370, 3_761]
    assert corpus.splits["train"].sentences[1][:3] == ("pierre", "<unk>", "N")
    whole = corpora.load("ptb", data)
    assert whole.splits["train"].sentences[:50] == corpus.splits["train"].sentences
    assert whole.sha256 != corpus.sha256
    assert sum(map(len, whole.splits["test"].sentences)) == 78_669


def test_labels_of_tabbed_lines(toy):
    corpus = corpora.load("toy", toy(tabbed=True))
    assert corpus.splits["train"].labels["mood"].tolist() == [1, 0]
    assert corpus.splits["train"].sentences == [("good", "."), ("bad", ".")]


def test_limits_cut_labels_too(toy):
    corpus = corpora.load("toy", toy(tabbed=True), limit={"train": 1})
    assert corpus.splits["train"].labels["mood"].tolist() == [1] and len(corpus.splits["train"]) == 1


def test_limits_keep_the_shares_of_the_labels(toy):
    """Also where all sentences of one label come first, as in a corpus with one file per label."""
    lines = [f"0\tbad {i}\n" for i in range(6)] + [f"1\tgood {i}\n" for i in range(12)]
    folder = toy(tabbed=True, train="".join(lines))
    for count, bad in ((3, 1), (6, 2), (9, 3), (17, 6), (18, 6), (40, 6)):
        train = corpora.load("toy", folder, limit={"train": count}).splits["train"]
        good = min(count, 18) - bad
        assert train.labels["mood"].tolist() == [0] * bad + [1] * good
        assert train.sentences == [("bad", str(i)) for i in range(bad)] + [("good", str(i)) for i in range(good)]


def test_limited_reviews_have_both_labels(data):
    splits = corpora.load("shen-yelp-devtest", data, limit={"train": 1200, "valid": 200}).splits
    assert 0.3 < np.mean(splits["train"].labels["sentiment"]) < 0.7 > np.mean(splits["valid"].labels["sentiment"]) > 0.3


def test_hash_is_that_of_the_content(toy):
    folder = toy(tabbed=True)
    same = corpora.load("toy", folder)
    assert same.sha256 == corpora.load("toy", folder).sha256
    others = [corpora.load("toy", folder, limit={"test": 1}),
              corpora.load("toy", toy(tabbed=True, valid="1\tgood .\n")),
              corpora.load("toy", toy(tabbed=True, train="0\tgood .\n0\tbad .\n")),
              corpora.load("toy", toy(tabbed=True, train="1\tgood\n0\t. bad .\n"))]
    assert len({same.sha256, *(other.sha256 for other in others)}) == 5


def test_no_data_folder(monkeypatch):
    monkeypatch.delenv("CEAE_DATA", raising=False)
    with pytest.raises(CeaeError, match=r"ptb needs ptb/train.txt.*set CEAE_DATA or pass --data.*ceae data fetch ptb"):
        corpora.load("ptb")


def test_missing_file_of_the_table(toy):
    folder = toy()
    (folder / "toy" / "valid.txt").unlink()
    with pytest.raises(CeaeError, match=r"needs toy/valid.txt .*lacks them.*the toy shop"):
        corpora.load("toy", folder)


def test_wrong_checksum(toy):
    with pytest.raises(CeaeError, match=r"train.txt: not the published.*expected \w{64}, found \w{64}.*--train"):
        corpora.load("toy", toy(altered=True))


def test_git_blob_id_where_no_sha256_is_known(toy, monkeypatch):
    folder = toy()
    blob = hashlib.sha1(b"blob %d\0" % len(GOOD) + GOOD.encode()).hexdigest()
    def with_blob(blob):
        parts = {s: Part((File(f"toy/{s}.txt", blob),), 2) for s in table.SPLITS}
        monkeypatch.setitem(table.CORPORA, "toy", Entry("toy", "Toy", parts, "none", "the toy shop"))
    with_blob(blob)
    assert len(corpora.load("toy", folder).splits["train"]) == 2
    with_blob("1" * 40)
    with pytest.raises(CeaeError, match=f"git blob id expected {'1' * 40}, found {blob}"):
        corpora.load("toy", folder)


# ---- malformed text: by name and by path, the same strictness -------------------------------------------------------

MALFORMED = {
    "NUL byte": (b"fine\nbi\0nary\n", r"line 2: a NUL byte.*UTF-8"),
    "invalid UTF-8": (b"fine\nfine\ncaf\xe9 au lait\n", r"line 3: byte 0xe9 is not valid UTF-8.*iconv"),
    "empty line": ("fine\n\nfine\n", r"line 2: an empty line; delete it"),
    "line of spaces": ("fine\n  \t \n", r"line 2: an empty line"),
    "over-long line": ("fine\n" + "word " * 201 + "\n", r"line 2: 201 words, over the limit of 200.*split"),
    "reserved word": ("fine\nthe end </s>\n", r"line 2: the word </s> is reserved.*remove"),
    "empty file": ("", r"holds no sentence"),
}


@pytest.mark.parametrize("content, message", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("split", table.SPLITS)
def test_malformed_files(write, toy, split, content, message):
    with pytest.raises(CeaeError, match=rf"{split}.txt(, |: .*){message}"):
        corpora.load(**own_files(write, **{split: content}))
    with pytest.raises(CeaeError, match=rf"{split}.txt(, |: .*){message}"):
        corpora.load("toy", toy(**{split: content}))


@pytest.mark.parametrize("content, message", [("1\tgood\nbad\n", "line 2: no label; expected an integer, a tab"),
                                              ("1\tgood\nx\tbad\n", "line 2: the label 'x' is not an integer"),
                                              ("1\tgood\n1.5\tbad\n", "line 2: the label '1.5' is not an integer"),
                                              ("1\tgood\n0\t \n", "line 2: an empty line")])
def test_malformed_labels(write, toy, content, message):
    with pytest.raises(CeaeError, match=f"train.txt, {message}"):
        corpora.load("toy", toy(tabbed=True, train=content))
    labelled = "1\ta\n0\tb\n"
    with pytest.raises(CeaeError, match=f"train.txt, {message}"):
        corpora.load(**own_files(write, train=content, valid=labelled, test=labelled))
    with pytest.raises(CeaeError, match=f"valid.txt, {message}"):
        corpora.load(**own_files(write, train=labelled, valid=content, test=labelled))


def test_longer_lines_on_request(write):
    paths = own_files(write, train="word " * 201 + "\n")
    assert len(corpora.load(**paths, max_tokens=201).splits["train"].sentences[0]) == 201


# ---- own text in three files ----------------------------------------------------------------------------------------

def test_three_files(write):
    paths = own_files(write, train="a <unk> b\nc d\n", valid="a\n", test="b\nc\nd\n")
    corpus = corpora.load(**paths)
    assert corpus.name == "train" and [len(s) for s in corpus.splits.values()] == [2, 1, 3]
    assert corpus.unknown == "<unk>" and corpus.splits["train"].labels == {}
    assert corpora.load("My Text!", **paths).name == "my-text"
    assert corpora.load("oracle", **paths).name == "train"                      # what the command line has by default


def test_three_labelled_files(write):
    corpus = corpora.load(**own_files(write, train="3\ta\n1\tb c\n", valid="1\ta\n", test="2\tb\n"))
    assert corpus.splits["train"].labels["label"].tolist() == [3, 1]
    assert corpus.splits["train"].sentences == [("a",), ("b", "c")]


@pytest.mark.parametrize("train", ["one sentence .\r\nanother sentence .\r\n",
                                   "\ufeffone sentence .\nanother sentence .",
                                   " one sentence . \n\tanother  sentence .\n", "one sentence .\ranother sentence .\r"])
def test_line_ends_byte_order_mark_and_spaces_do_not_matter(write, train):
    plain = corpora.load(**own_files(write)).sha256
    assert corpora.load(**own_files(write, train=train)).sha256 == plain


def test_folder(write, tmp_path):
    own_files(lambda name, content: write(f"My Reviews/{name}", content))
    corpus = corpora.load(tmp_path / "My Reviews")
    assert corpus.name == "my-reviews" and len(corpus.splits["test"]) == 2
    (tmp_path / "My Reviews" / "test.txt").unlink()
    with pytest.raises(CeaeError, match="test.txt: no such file"):
        corpora.load(tmp_path / "My Reviews")


def test_own_text_does_not_pass_for_a_published_corpus(write, tmp_path):
    own_files(lambda name, content: write(f"ptb/{name}", content))
    assert corpora.load(tmp_path / "ptb").name == "own-ptb"
    with pytest.raises(CeaeError, match="published corpus"):
        corpora.load("ptb", **own_files(write))


def test_two_of_three_files(write):
    paths = own_files(write)
    with pytest.raises(CeaeError, match="no valid and no test file is given"):
        corpora.load(train=paths["train"])


@pytest.mark.parametrize("name", [None, "", "no-such-corpus", "no/such/file.txt"])
def test_unknown_corpus(name):
    with pytest.raises(CeaeError, match=r"neither a known name \(oracle, ptb, .*nor a text file"):
        corpora.load(name)


@pytest.mark.parametrize("limit", [{"train": 0}, {"dev": 5}, {"test": -1}])
def test_wrong_limits(limit):
    with pytest.raises(CeaeError, match="expected at least 1 sentence for train, valid or test"):
        corpora.load("oracle", limit=limit)


def test_wrong_max_tokens():
    with pytest.raises(CeaeError, match="max_tokens is 0"):
        corpora.load("oracle", max_tokens=0)


def test_vocabulary_of_own_text_is_capped(write):
    text = "".join(f"w{i} w{i} w{i + 1}\n" for i in range(0, 21_000, 2))
    corpus = corpora.load(**own_files(write, train=text))
    vocabulary = corpus.vocabulary("bn")
    assert len(vocabulary) == 20_004
    assert "w20998" in vocabulary.index and "w20999" not in vocabulary.index    # twice or once in the text
    assert np.array_equal(vocabulary.encode(("w20999",)), [1, 3, 2])
