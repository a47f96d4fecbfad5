"""The stand-in prefers what its rule says, wherever it stands, and is called what it is."""

import numpy as np
import pytest

from ceae_core.corpora import oracle
from ceae_core.critics.oracle import OracleCritic
from ceae_core.critics.scores import Scores
from ceae_core.errors import CeaeError
from ceae_core.preference import shares, standin
from ceae_core.preference.sheet import Sheet


class Letters:
    """A critic by the letters of a sentence: nats are their number, words those of the text."""

    name, settings = "letters", {}

    def score(self, sentences):
        nats = np.array([float(sum(map(len, s))) for s in sentences])
        words = np.array([len(s) + 1 for s in sentences])
        return Scores(nats, words, words, np.zeros(len(words), int), np.zeros(len(words)))


@pytest.fixture
def long_and_short():
    """One model writes few long words (more nats a word), the other many short ones (more nats a sentence)."""
    return Sheet.of({"few": [f"lengthy wordings{i:02d}" for i in range(30)],
                     "many": [f"a b c d e f g h i j k l m n o p q r {i:03d}" for i in range(30)]}, 30, seed=1)


@pytest.mark.parametrize("rule, preferred", [("word", 1), ("sentence", 0)])
def test_the_rule_decides(long_and_short, rule, preferred):
    found = standin.answers(long_and_short, Letters(), rule)
    assert (found.choices == preferred).all()
    assert found.raters == (f"stand-in (letters critic, nats per {rule})",)
    for name in ("human", "gpt"):
        assert name not in found.raters[0].lower()
    with pytest.raises(CeaeError, match="rule: unknown value 'both'"):
        standin.answers(long_and_short, Letters(), "both")


def test_scores_are_those_of_the_candidate_at_each_position(long_and_short):
    nats = standin.scores(long_and_short, Letters(), "sentence")
    for item, row in zip(long_and_short.items, nats, strict=True):
        assert row.tolist() == [len(text.replace(" ", "")) for text in item.texts]


def test_a_coin_and_not_the_position_decides_between_equals():
    sheet = Sheet.of({name: [f"{name} {i:03d}" for i in range(300)] for name in "ab"}, 300, seed=1)
    found = standin.answers(sheet, Letters())
    assert (found.positions == standin.answers(sheet, Letters()).positions).all()
    assert 110 < found.position_counts()[0] < 190 and 110 < found.counts()[0] < 190


def test_the_truth_is_preferred_to_scrambled_truth():
    """Reviews of the grammar against the same words in random order: the graded score finds nearly all of them."""
    rng, sample = np.random.default_rng(0), oracle.default().sample(120, 7).sentences
    scrambled = [" ".join(rng.permutation(sentence)) for sentence in sample[60:]]
    sheet = Sheet.of({"truth": [" ".join(s) for s in sample[:60]], "scrambled": scrambled}, 60, seed=1)
    assert standin.answers(sheet, OracleCritic()).counts()[0] >= 58


def test_a_crowd_follows_luces_rule(long_and_short):
    """Two candidates: P(first) is the logistic function of their difference over the scale; within 4 sd."""
    nats = standin.scores(long_and_short, Letters())
    found = standin.crowd(long_and_short, Letters(), 400, scale=2.0)
    p = 1 / (1 + np.exp((nats[:, 0] - nats[:, 1]) / 2.0))
    share = (found.positions == 0).mean(0)
    assert np.abs(share - p).max() < 4 * 0.5 / 400 ** 0.5
    assert (standin.crowd(long_and_short, Letters(), 3, scale=1e-6).positions
            == standin.answers(long_and_short, Letters()).positions).all()
    assert found.raters[0] == "simulated rater 1"


def test_hasty_raters_show_in_the_positions_and_pull_shares_together(long_and_short):
    calm = standin.crowd(long_and_short, Letters(), 20, scale=0.5)
    hasty = standin.crowd(long_and_short, Letters(), 20, scale=0.5, hasty=0.5)
    assert shares.against_chance(calm.position_counts())[1] > 0.01
    assert shares.against_chance(hasty.position_counts())[1] < 1e-6
    first, last = hasty.position_counts()
    assert first / (first + last) == pytest.approx(0.75, abs=0.06)
    assert calm.counts()[1] / 600 > hasty.counts()[1] / 600 > 0.5
