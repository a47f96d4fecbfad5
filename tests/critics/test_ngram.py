"""The n-gram critic: which tools, which words, which positions."""

import stat
from importlib.util import find_spec

import numpy as np
import pytest

from ceae_core.corpora import oracle
from ceae_core.critics import KINDS, Options, kind
from ceae_core.critics.kneser_ney import KneserNey
from ceae_core.critics.ngram import NgramCritic
from ceae_core.errors import CeaeError, NotRun

TEXT = [("the", "tacos", "were", "<unk>"), ("the", "<unk>", "were", "cold"), ("tacos", ".")]
NO_KENLM = pytest.mark.skipif(find_spec("kenlm") is None, reason="the kenlm module is not installed")
SCORERS = ["numpy", pytest.param("kenlm", marks=NO_KENLM)]


@pytest.fixture
def no_tools(monkeypatch):
    """Neither lmplz nor the kenlm module."""
    monkeypatch.setattr("ceae_core.critics.ngram.shutil.which", lambda name: None)
    monkeypatch.setattr("ceae_core.critics.ngram.find_spec", lambda name: None)


@pytest.mark.parametrize("scorer", SCORERS)
def test_columns_are_sums_over_the_positions_of_a_sentence(scorer):
    critic = NgramCritic.fit(TEXT, order=3, estimator="numpy", scorer=scorer)
    tests = [("the", "tacos", "."), (), ("unseen", "the", "unseen")]
    found = critic.score(tests)
    alone = KneserNey.fit([tuple(w.replace("<unk>", "_UNK_") for w in s) for s in TEXT], 3).positions(tests)
    for i in range(3):
        assert found.nats[i] == pytest.approx(alone.nats[alone.sentence == i].sum(), abs=1e-5)
    assert found.positions.tolist() == found.words.tolist() == [4, 1, 4] and found.oov.tolist() == [0, 0, 2]
    assert found.oov_nats == pytest.approx([0, 0, alone.nats[-4] + alone.nats[-2]], abs=1e-5)


@pytest.mark.parametrize("scorer", SCORERS)
def test_ends_are_left_out_on_request(scorer):
    whole, words = (NgramCritic.fit(TEXT, order=3, scorer=scorer, estimator="numpy", count_end=count_end).score(
        [("the", "cold"), ()]) for count_end in (True, False))
    assert words.positions.tolist() == [2, 0] and words.nats[1] == 0
    end = NgramCritic.fit(TEXT, order=3, scorer=scorer, estimator="numpy").score([()]).nats[0]
    assert whole.nats[1] == pytest.approx(end) and whole.nats[0] > words.nats[0] > 0


@pytest.mark.parametrize("scorer", SCORERS)
def test_unk_in_a_text_is_a_word_or_skipped(scorer):
    renamed = NgramCritic.fit(TEXT, order=3, scorer=scorer, estimator="numpy").score([("<unk>", "nowhere")])
    assert renamed.oov.tolist() == [1]
    skipped = NgramCritic.fit(TEXT, order=3, scorer=scorer, estimator="numpy", unknown="skip")
    assert skipped.score([("<unk>", "nowhere")]).oov.tolist() == [2]
    without = NgramCritic.fit([tuple(w for w in s if w != "<unk>") for s in TEXT], order=3, scorer=scorer,
                              estimator="numpy")
    assert np.array_equal(skipped.score(TEXT).nats, without.score([tuple(w.replace("<unk>", "nowhere") for w in s)
                                                                   for s in TEXT]).nats)


def test_nothing_to_score_is_nothing():
    critic = NgramCritic.fit(TEXT, order=2)
    assert len(critic.score([]).nats) == 0
    with pytest.raises(CeaeError, match="no position"):
        critic.score([]).perplexity()


def test_settings_say_what_was_used(no_tools):
    critic = NgramCritic.fit(TEXT, order=4, types=9)
    assert critic.name == "ngram" and critic.settings | {"discount_fallback": None, "unknown_words": None} == {
        "order": 4, "estimator": "numpy", "scorer": "numpy", "types": 9, "count_end": True, "unknown": "rename",
        "unknown_words": None, "trained_on": 3, "discount_fallback": None}
    assert critic.settings["discount_fallback"] == [2, 3, 4]
    assert "_UNK_" in critic.settings["unknown_words"]


def test_a_tool_that_is_not_here_is_not_replaced_when_asked_for(no_tools):
    for chosen in ({"scorer": "kenlm"}, {"estimator": "lmplz"}):
        with pytest.raises(NotRun, match="not installed"):
            NgramCritic.fit(TEXT, **chosen)
    with pytest.raises(CeaeError, match="scorer: unknown value 'perl'"):
        NgramCritic.fit(TEXT, scorer="perl")
    with pytest.raises(CeaeError, match="unknown: must be"):
        NgramCritic.fit(TEXT, unknown="drop")


def test_unigrams_are_scored_by_our_own_scorer():
    assert NgramCritic.fit(TEXT, order=1).settings["scorer"] == "numpy"


def test_lmplz_is_used_where_it_is_and_its_failure_is_told(tmp_path, monkeypatch):
    """A program of that name on PATH, which copies a ready file or fails."""
    pytest.importorskip("kenlm")
    text = oracle.default().sample(40, 3).sentences
    model = KneserNey.fit(text, 3, 99)
    model.write_arpa(tmp_path / "ready.arpa")
    program = tmp_path / "lmplz"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\nwhile [ "$1" != --arpa ]; do shift; done\n'
                       f'cp {tmp_path}/ready.arpa "$2"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    critic = NgramCritic.fit(text, order=3, types=99)
    assert critic.settings["estimator"] == "lmplz" and critic.settings["scorer"] == "kenlm"
    assert critic.score(text).nats.sum() == pytest.approx(model.positions(text).nats.sum(), rel=1e-6)
    said = (tmp_path / "said").read_text()
    assert "-o 3 --discount_fallback" in said and "--vocab_pad 101" in said
    program.write_text("#!/bin/sh\necho 'out of room' >&2\nexit 3\n")
    with pytest.raises(CeaeError, match="exit status 3 .out of room."):
        NgramCritic.fit(text, order=3)


def test_no_file_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    NgramCritic.fit(TEXT, order=2).score(TEXT)
    assert not list(tmp_path.iterdir())


def test_kinds_are_fitted_or_given():
    assert all((entry.fit is None) != (entry.given is None) for entry in KINDS.values())
    with pytest.raises(CeaeError, match="unknown kind 'bigram'"):
        kind("bigram")


def test_the_kind_gives_every_word_of_the_vocabulary_its_share(oracle_corpus):
    vocabulary = oracle_corpus.vocabulary()
    made = KINDS["ngram"].fit(oracle_corpus.splits["train"].sentences[:5], vocabulary, Options(order=2))
    assert made.settings["types"] == len(vocabulary) - 4 and made.settings["order"] == 2
