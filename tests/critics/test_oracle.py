"""The oracle critic: exact where a small grammar can be enumerated, and the true entropy on the corpus's own text."""

import math
from collections import Counter

import numpy as np
import pytest

from ceae_core.corpora import oracle
from ceae_core.corpora.oracle import ENTROPY, Oracle
from ceae_core.critics import KINDS, Options
from ceae_core.critics.oracle import SLOT, OracleCritic, default
from ceae_core.errors import CeaeError

# ROOT's rule names a review, as in the corpus; CLAUSE and its kin are phrases, THING and GOOD are lists.
SMALL = """
ROOT : 1 REVIEW
REVIEW : 3 the THING was GOOD . | 1 THING and the THING .
THING = taco bun pie
GOOD = good great
"""
THING = {"taco": 6 / 11, "bun": 3 / 11, "pie": 2 / 11}                          # 1, 1/2, 1/3 over their sum
GOOD = {"good": 2 / 3, "great": 1 / 3}


@pytest.fixture(scope="module")
def small():
    return OracleCritic(Oracle(SMALL))


def enumerated():
    """Every review of the small grammar with its probability."""
    first = {("the", thing, "was", good, "."): 0.75 * p * q for thing, p in THING.items() for good, q in GOOD.items()}
    return first | {(one, "and", "the", other, "."): 0.25 * p * q for one, p in THING.items()
                    for other, q in THING.items()}


def test_exact_log_p_of_every_review_of_a_small_grammar(small):
    reviews = enumerated()
    assert sum(reviews.values()) == pytest.approx(1)
    assert np.exp(small.exact(list(reviews))) == pytest.approx(list(reviews.values()))
    assert small.exact([("the", "taco", "was", "."), ()]).tolist() == [-math.inf, -math.inf]


def test_templates_keep_what_the_phrases_write_out(small):
    assert small.template(("the", "taco", "was", "great", ".")) == ("the", SLOT, "was", SLOT, ".")
    assert dict(small.templates) == pytest.approx({("the", SLOT, "was", SLOT, "."): 0.75,
                                                   (SLOT, "and", "the", SLOT, "."): 0.25})


def test_coverage_of_a_known_truncation_is_its_mass(small):
    """Only one form of review, and never pie: all masses follow from the enumeration."""
    reviews = enumerated()
    kept = [text for text in reviews if text[0] == "the" and "pie" not in text]
    found = small.coverage([*kept, *kept, ("the", "pie", "pie"), ("pie",)])    # what is no review adds nothing
    words = Counter()
    for text, p in reviews.items():
        for word in text:
            words[word] += p
    seen = {word for text in kept for word in text}
    assert found == pytest.approx((1, 0.75, sum(words[w] for w in seen) / sum(words.values()),
                                   sum(reviews[text] for text in kept)))
    assert small.coverage(list(reviews)) == pytest.approx((2, 1.0, 1.0, 1.0))
    assert small.coverage([("pie",)]) == (0, 0, 0, 0)


def test_template_mass_is_the_share_of_new_reviews_that_have_one():
    """The exact mass of the templates of 200 reviews against 4,000 new ones; four standard errors."""
    critic, grammar = default(), oracle.default()
    known = grammar.sample(200, 11).sentences
    templates = {critic.template(text) for text in known}
    new = grammar.sample(4_000, 12).sentences
    share = np.mean([critic.template(text) in templates for text in new])
    mass = critic.coverage(known).template_mass
    assert abs(share - mass) < 4 * math.sqrt(mass * (1 - mass) / 4_000) and 0.1 < mass < 0.4
    assert sum(critic.templates.values()) == pytest.approx(1, abs=1e-9)


def test_the_grammars_own_text_has_its_entropy():
    """-mean log p of 4,000 reviews is H within four standard errors; all are grammatical."""
    critic, text = default(), oracle.default().sample(4_000, 13).sentences
    log_p = critic.exact(text)
    error = math.hypot(log_p.std() / 4_000 ** 0.5, ENTROPY[1])
    assert abs(-log_p.mean() - ENTROPY[0]) < 4 * error
    truth, positions = critic.truth(text), sum(len(s) + 1 for s in text)
    assert truth == {"grammatical": 1.0, "ppl_grammatical": pytest.approx(math.exp(-log_p.sum() / positions))}


def test_scores_are_the_graded_score_position_by_position(small):
    texts = [("the", "taco", "was", "great", "."), ("taco", "taco"), ("the", "soup", "was", "soup")]
    found = small.score(texts)
    assert found.nats == pytest.approx([-small.grammar.log_prob(text, 0.01) for text in texts])
    assert found.positions.tolist() == found.words.tolist() == [6, 3, 5] and found.oov.tolist() == [0, 0, 2]
    uniform = small.grammar.bigram[0, -1]
    assert found.oov_nats == pytest.approx([0, 0, -math.log(0.01 * uniform) - math.log(uniform)])
    assert small.truth(texts)["grammatical"] == pytest.approx(1 / 3)
    assert len(small.score([]).nats) == 0


def test_truth_of_nothing_grammatical(small):
    assert small.truth([("taco",)]) == {"grammatical": 0.0, "ppl_grammatical": None}
    with pytest.raises(CeaeError, match="no sentences"):
        small.truth([])


def test_it_is_given_and_says_its_settings():
    critic = KINDS["oracle"].given(Options())
    assert critic is default() and critic.name == "oracle" and critic.settings["backoff"] == 0.01
