"""The oracle corpus: probabilities that are what they claim to be."""
import gc
import hashlib
import re
import weakref
from itertools import product
from math import exp, inf, isfinite, log, sqrt

import numpy as np
import pytest

from ceae_core.corpora import oracle
from ceae_core.corpora.grammar import FEATURES, GRAMMAR, LATENTS, read_grammar
from ceae_core.corpora.oracle import END, ENTROPY, Oracle
from ceae_core.errors import CeaeError

REVIEW = re.compile(r"(?m)^REVIEW.*\n(?:  .*\n)*")


@pytest.fixture(scope="module")
def grammar() -> Oracle:
    return oracle.default()


@pytest.fixture(scope="module")
def reviews(grammar):
    return grammar.sample(2_000, seed=2)


@pytest.fixture(scope="module")
def small() -> Oracle:
    """Two kinds of reviews only, few enough to write them all down."""
    return Oracle(REVIEW.sub("REVIEW.s.t.y.k.w : 2 WHEN.t.k.w , BACK.s.w END.y | 1 SURELY , BACK.s.w END.y\n", GRAMMAR))


def enumerate_sentences(model: Oracle) -> dict[tuple[str, ...], float]:
    """sentence -> probability, by writing out every derivation."""
    texts = [[((word,), 1.)] for word in model.words]
    for rules in model.rules[len(texts):]:
        texts.append([(sum((text for text, _ in parts), ()), p * np.prod([q for _, q in parts]))
                      for p, body in rules for parts in product(*(texts[s] for s in body))])
    out: dict[tuple[str, ...], float] = {}
    for text, p in texts[-1]:
        out[text] = out.get(text, 0.) + p
    return out


def digest(sentences) -> str:
    return hashlib.sha256("\n".join(map(" ".join, sentences)).encode()).hexdigest()[:16]


@pytest.mark.parametrize(("n", "seed", "expected"), [(20_000, 0, "5913cf173821d552"), (2_000, 1, "68a679a1e200837d"),
                                                     (2_000, 2, "2dccb62edfdc3fe4")])
def test_the_corpus_is_the_same_on_every_machine(grammar, n, seed, expected):
    assert digest(grammar.sample(n, seed).sentences) == expected


def test_size_and_shape(grammar):
    assert len(grammar.words) == 707
    assert len(grammar.rules) - len(grammar.words) == 1_059
    assert sum(map(len, grammar.rules[len(grammar.words):])) == 19_553
    assert grammar.distinct() == 6_476_705_547_828
    assert len(grammar.rules[-1]) == 144
    for rules in grammar.rules:
        assert sum(p for p, _ in rules) == pytest.approx(1, abs=1e-12)


def test_sub_grammar_enumerated(small):
    truth = enumerate_sentences(small)
    assert len(truth) == small.distinct() == 22_932
    assert sum(truth.values()) == pytest.approx(1, abs=1e-12)
    assert -sum(p * log(p) for p in truth.values()) == pytest.approx(8.3958, abs=5e-5)
    for sentence in list(truth)[::23]:
        assert small.log_prob(sentence) == pytest.approx(log(truth[sentence]), abs=1e-9)
    estimate, error = small.entropy(4_000, seed=3)
    assert 0 < error < .05 and abs(estimate - 8.3958) < 4 * error


def test_a_grammar_small_enough_for_paper_and_pencil():
    model = Oracle("ROOT : 1 REVIEW.n\nREVIEW.n : 3 the DOG.n | 1 it?50 DOG.n\nDOG.n = dog+")
    dogs = {"dog": .65, "dogs": .35}
    for word, p in dogs.items():
        assert exp(model.log_prob(("the", word))) == pytest.approx(.75 * p)
        assert exp(model.log_prob(("it", word))) == pytest.approx(.125 * p)
        assert exp(model.log_prob((word,))) == pytest.approx(.125 * p)
    assert model.mass(("the",)) == pytest.approx(.75)
    assert model.distinct() == 6
    assert model.length_distribution() == pytest.approx([0, .125, .875])
    assert dict(zip(model.words, model.word_counts(), strict=True)) == pytest.approx({**dogs, "the": .75, "it": .125})
    exact = -sum(q * p * log(q * p) for q in (.75, .125, .125) for p in dogs.values())
    assert model.entropy(50)[0] == pytest.approx(exact)         # no ambiguity: the sampled part is zero


def test_mean_log_prob_is_the_entropy(grammar, reviews):
    log_p = np.array([grammar.log_prob(sentence) for sentence in reviews.sentences])
    assert -log_p.mean() == pytest.approx(19.189, abs=1e-3)                     # the floor of the test split
    assert abs(-log_p.mean() - ENTROPY[0]) < 4 * sqrt(log_p.var() / len(log_p) + ENTROPY[1] ** 2)
    assert (reviews.log_joint <= log_p + 1e-9).all()


def test_entropy_agrees_with_its_record(grammar):
    estimate, error = grammar.entropy(1_500, seed=5)
    assert 0 < error < .06
    assert abs(estimate - ENTROPY[0]) < 4 * (error ** 2 + ENTROPY[1] ** 2) ** .5


def test_next_word_probabilities_sum_to_one(grammar, reviews):
    rng = np.random.default_rng(0)
    for sentence in reviews.sentences[:25]:
        prefix = sentence[:rng.integers(len(sentence) + 1)]
        following = sum(grammar.mass((*prefix, word)) for word in [*grammar.words, END])
        assert following == pytest.approx(grammar.mass(prefix), rel=1e-12)


def test_bigram_rows_sum_to_one(grammar):
    n_words = len(grammar.words)
    assert grammar.bigram.shape == (n_words + 2, n_words + 2)
    assert grammar.bigram[:, :-1].sum(1) == pytest.approx(np.ones(n_words + 2), abs=1e-12)
    assert grammar.bigram[:, -1] == pytest.approx(np.full(n_words + 2, .01 / (n_words + 1)))


def test_bigram_is_that_of_samples(grammar):
    sentences = grammar.sample(20_000, seed=0).sentences
    pairs = [(u, v) for s in sentences for u, v in zip((END, *s), (*s, END), strict=True)]
    after_the = [v for u, v in pairs if u == "the"]
    ids = {word: i for i, word in enumerate([*grammar.words, END])}
    row = grammar.bigram[ids["the"]]
    for word in ("waiter", "pizza", "table"):
        share = after_the.count(word) / len(after_the)
        unigram = sum(v == word for _, v in pairs) / len(pairs)
        expected = .9 * share + .09 * unigram + .01 / len(ids)
        assert abs(row[ids[word]] - expected) < 5 * sqrt(share / len(after_the))


def test_joint_sums_to_the_sentence_and_knows_the_label(grammar, reviews):
    hits = 0
    for i, sentence in enumerate(reviews.sentences[:200]):
        joint = grammar.joint(sentence)
        assert joint.sum() == pytest.approx(exp(grammar.log_prob(sentence)), rel=1e-12)
        drawn = np.all([grammar.labels[name] == values[i] for name, values in reviews.labels.items()], axis=0)
        assert drawn.sum() == 1 and joint[drawn] > 0
        positive = joint[grammar.labels["sentiment"] == "pos"].sum() / joint.sum()
        hits += (positive > .5) == (reviews.labels["sentiment"][i] == "pos")
    assert hits >= 198                                                          # Bayes accuracy of sentiment: 1.00


def test_wrong_agreement_is_impossible(grammar, reviews):
    number = {"was": "were", "were": "was", "is": "are", "are": "is"}
    tense = {"was": "is", "were": "are", "is": "was", "are": "were"}
    numbers = tenses = 0
    for sentence in reviews.sentences[:400]:
        verbs = [i for i, word in enumerate(sentence) if word in number]
        if verbs:
            wrong = list(sentence)
            wrong[verbs[-1]] = number[wrong[verbs[-1]]]
            assert grammar.log_prob(wrong) == -inf
            numbers += 1
        if len(verbs) == 2:
            wrong = list(sentence)
            wrong[verbs[0]] = tense[wrong[verbs[0]]]
            assert grammar.log_prob(wrong) == -inf
            tenses += 1
    assert numbers > 150 and tenses > 15


@pytest.mark.parametrize("sentence", ["", "the <unk> was great .", "the waiter", "the waiter was great . .", "ROOT",
                                      "was great the waiter ."])
def test_outside_the_grammar(grammar, sentence):
    words = tuple(sentence.split())
    assert grammar.log_prob(words) == -inf
    assert grammar.joint(words).sum() == 0
    assert isfinite(grammar.log_prob(words, backoff=.01))


def test_expected_words_and_lengths_are_those_of_samples(grammar):
    n = 20_000
    sentences = grammar.sample(n, seed=9).sentences
    lengths = grammar.length_distribution()
    assert len(lengths) == 21 and lengths[:4].sum() == 0 and lengths.sum() == pytest.approx(1)
    assert lengths @ np.arange(21) == pytest.approx(10.25, abs=.01)
    found = np.bincount([len(s) for s in sentences], minlength=21) / n
    assert (np.abs(found - lengths) < 5 * np.sqrt(lengths / n) + 1e-4).all()
    expected = dict(zip(grammar.words, grammar.word_counts(), strict=True))
    assert min(expected.values()) > 0                                           # every word can occur
    counts = {word: 0 for word in grammar.words}
    for word in (word for s in sentences for word in s):
        counts[word] += 1
    for word, mean in expected.items():
        assert abs(counts[word] / n - mean) < 6 * sqrt(2 * mean / n) + 1e-4, word


def test_labels_follow_their_priors(grammar):
    labels = grammar.sample(20_000, seed=4).labels
    assert list(labels) == ["sentiment", "topic", "style", "tense", "narrator"]
    for variable, name in LATENTS.items():
        for value, p in FEATURES[variable].items():
            assert abs((labels[name] == value).mean() - p) < 5 * sqrt(p / 20_000)


def test_notation():
    rules = read_grammar("# a comment\nROOT : 1 DO.pos.k?40 end\nDO.s.k : 1 not GO.k | 3\n  GO.k LIKE.~s\n"
                         "GO.k = try/tries go_out\n\nLIKE.s = bad/good\n")
    words = {symbol: [(round(p, 6), body) for p, body in bodies] for symbol, bodies in rules.items()}
    assert words["ROOT"] == [(.26, ("DO.pos.past", "end")), (.14, ("DO.pos.pres", "end")), (.6, ("end",))]
    assert words["DO.pos.past"] == [(.25, ("not", "GO.past")), (.75, ("GO.past", "LIKE.neg"))]
    assert words["GO.past"] == [(.666667, ("try",)), (.333333, ("go", "out"))]
    assert words["GO.pres"][0] == (.666667, ("tries",))
    assert words["LIKE.neg"] == [(1., ("bad",))]
    assert list(rules)[-1] == "ROOT"


@pytest.mark.parametrize(("entry", "forms"), [("help*", "helped helped helps help"),
                                              ("serve*", "served served serves serve"),
                                              ("impress*", "impressed impressed impresses impress")])
def test_verb_forms(entry, forms):
    rules = read_grammar(f"ROOT : 1 DO.k.n\nDO.k.n = {entry}")
    heads = ["DO.past.sg", "DO.past.pl", "DO.pres.sg", "DO.pres.pl"]
    assert [rules[head][0][1][0] for head in heads] == forms.split()


def test_graded_score_orders_corruptions(grammar, reviews):
    rng = np.random.default_rng(1)
    sentences = reviews.sentences[:300]
    def graded(texts):
        return -np.mean([grammar.log_prob(text, .01) for text in texts])
    def replaced(n):
        out = [list(s) for s in sentences]
        for text in out:
            for i in rng.choice(len(text), n, replace=False):
                text[i] = grammar.words[rng.integers(len(grammar.words))]
        return out
    scores = [graded(sentences), graded(replaced(1)), graded(replaced(2)), graded(replaced(4)),
              graded([rng.permutation(s) for s in sentences])]
    assert scores == sorted(scores)
    assert scores[0] == pytest.approx(19.7, abs=.6) and scores[1] > 30


def test_graded_score_sums_to_one_over_short_texts():
    model = Oracle("ROOT : 1 REVIEW.n\nREVIEW.n : 1 the DOG.n\nDOG.n = dog+")
    total = sum(exp(model.log_prob(text, .1)) for length in range(9) for text in product(model.words, repeat=length))
    assert .99 < total < 1                                                      # the rest lies in longer texts


def test_score_of_true_and_generated_text(grammar, reviews):
    true = oracle.score(reviews.sentences[:1_000])
    assert true.grammatical == 1 and true.sentences == true.distinct_sentences == 1_000
    assert true.ppl_word == pytest.approx(5.5964, abs=1e-3) and true.distinct_words == 630
    repeated = oracle.score([reviews.sentences[0]] * 10)
    assert repeated.distinct_sentences == 1
    mixed = oracle.score([["the", "<unk>", "was", "great", "."], [], reviews.sentences[0]])
    assert mixed.grammatical == pytest.approx(1 / 3) and isfinite(mixed.ppl_word)
    assert mixed.ppl_word > true.ppl_word


def test_a_foreign_word_costs_its_documented_share(grammar):
    share = .01 / (len(grammar.words) + 1)
    start, rest = ("the", "waiter"), grammar.bigram[-1, -2]
    with_end = grammar.log_prob((*start, "<unk>"), .01)
    before = sum(log(.99 * grammar.mass(start[:i + 1]) / grammar.mass(start[:i]) + .01 * grammar.bigram[u, v])
                 for i, (u, v) in enumerate([(len(grammar.words), grammar.words.index("the")),
                                             (grammar.words.index("the"), grammar.words.index("waiter"))]))
    assert with_end == pytest.approx(before + log(.01 * share) + log(rest), abs=1e-9)


def test_nothing_to_draw_or_score():
    with pytest.raises(CeaeError, match="at least 1"):
        oracle.default().sample(0, seed=0)
    with pytest.raises(CeaeError, match="no sentences"):
        oracle.score([])


def test_forgetting_prefixes_changes_nothing(monkeypatch, reviews):
    model = Oracle()
    expected = [oracle.default().log_prob(s) for s in reviews.sentences[:60]]
    monkeypatch.setattr(oracle, "REMEMBERED_PREFIXES", 20)
    assert [model.log_prob(s) for s in reviews.sentences[:60]] == expected
    assert model._remembered < 20 + 25                                          # one sentence beyond the limit


def test_long_nonsense_is_no_problem(grammar):
    assert grammar.log_prob(("the",) * 20_000) == -inf
    assert isfinite(grammar.log_prob(("the", "pizza") * 2_000, .01))


def test_memory_is_freed_with_the_instance():
    model = Oracle("ROOT : 1 REVIEW.n\nREVIEW.n : 1 the DOG.n\nDOG.n = dog+")
    model.log_prob(("the", "dog"))
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None
