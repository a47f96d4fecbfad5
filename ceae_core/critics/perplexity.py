"""Forward and reverse perplexity of a model's samples, with what has to stand beside them: how much they repeat.

    forward : a critic of the training split scores the samples          [zhao2018adversarially; ceae, sec. 4]
    reverse : a critic that was trained on samples scores the test split

One vocabulary, that of the training split, serves both directions: a critic that has seen few different words must not
find fewer words to choose from.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from ceae_core import generate
from ceae_core.corpora import Corpus, Vocabulary, oracle
from ceae_core.critics import Critic, Options, Scores, Sentence, kind
from ceae_core.errors import CeaeError, NotRun
from ceae_core.measure.diversity import diversity
from ceae_core.runs import Run, Store

FRESH = 3                               # seed of true reviews that are in no split of the oracle corpus


@dataclass(frozen=True)
class Protocol:
    """Plain values on which the numbers depend, but for the run and its corpus.

    `decode`, `temperature`, `seed` and `max_length` are those of `generate.sample`; the others:
    """

    critic: str = "ngram"               # a name of KINDS
    # DEVIATION(ceae:4): decoding is not stated. Multinomial is the default, since greedy decoding repeats itself.
    decode: str = "multinomial"
    temperature: float = 1.0
    seed: int = 1
    max_length: int = 100
    forward: int = 1_000                # samples that are scored
    reverse: int = 10_000               # samples that train a critic; the first of them are those scored
    split: str = "test"                 # which split the reverse critic scores
    word_lines: bool = False            # the reverse critic also sees one line for each word of the vocabulary
    order: int = 5                      # of n-grams
    unknown: str = "rename"             # ngram: what becomes of <unk> in a text, see `ngram.WRITTEN`
    count_end: bool = True              # ngram: score and count the ends of sentences
    stream: bool = False                # lstm, gpt2: score the sentences as one text, each after those before it
    model: str = "gpt2"                 # gpt2: folder or name
    scale: str = "paper"                # lstm, gpt2-scratch: size and length of the training

    def __post_init__(self) -> None:
        kind(self.critic)
        if min(self.forward, self.reverse) < 1:
            raise CeaeError(f"samples: at least 1 is needed in each direction, not {self.forward} and {self.reverse}")
        if self.split not in ("train", "valid", "test"):
            raise CeaeError(f"split: unknown value {self.split!r}; choose train, valid or test")

    def options(self, store: Store | None, device: str) -> Options:
        """What this says to critics."""
        return Options(self.order, self.unknown, self.count_end, self.model, scale=self.scale, seed=self.seed,
                       device=device, store=store)


PAPERS = {
    # Section A.2 reads as if samples were scored as one text; whether the LSTM's are is not said.
    "ceae": Protocol(critic="lstm", stream=True),
    # DEVIATION(clvm:4.3): the paper says little; this is what the code that it builds on (Implicit-LVM) does. That code
    # scores the training split where the caption says test, leaves <unk> out of the text for the critic, does not
    # count the ends of sentences, and decodes 80 symbols of which it drops the first and the last.
    "clvm": Protocol(critic="ngram", decode="greedy", forward=1_280, reverse=1_280, max_length=78, split="train",
                     word_lines=True, unknown="skip", count_end=False),
}


def of_run(run: Run, protocol: Protocol, *, data: str | None = None, store: Store | None = None, device: str = "auto",
           ) -> dict[str, Any]:
    """`measure` on samples from the prior of a run.  Raises CeaeError for one that diverged, or without its corpus."""
    samples = draw(run, protocol, device)
    corpus = (run.spec.moved_to(data) if data else run.spec).load_corpus()
    return measure(samples, corpus, protocol, store=store, device=device)


def draw(run: Run, protocol: Protocol, device: str = "auto") -> list[Sentence]:
    """As many samples as the protocol needs.  Raises CeaeError for a run that diverged."""
    return generate.of_run(run, max(protocol.forward, protocol.reverse), device=device, how=protocol.decode,
                           seed=protocol.seed, temperature=protocol.temperature, max_length=protocol.max_length)


def true_samples(corpus: Corpus, protocol: Protocol) -> list[Sentence]:
    """Text that a perfect model would sample: new reviews of the grammar; of other corpora the validation split, which
    no critic has seen, as far as it goes."""
    n = max(protocol.forward, protocol.reverse)
    if corpus.name == "oracle":
        return list(oracle.default().sample(n, FRESH).sentences)
    return corpus.splits["valid"].sentences[:n]


def measure(samples: Sequence[Sentence], corpus: Corpus, protocol: Protocol, *, store: Store | None = None,
            device: str = "auto") -> dict[str, Any]:
    """`judge`, and the `diversity` of all samples."""
    return {"diversity": diversity(samples, seed=protocol.seed)} | judge(samples, corpus, protocol, store=store,
                                                                         device=device)


def judge(samples: Sequence[Sentence], corpus: Corpus, protocol: Protocol, *, store: Store | None = None,
          device: str = "auto") -> dict[str, Any]:
    """`forward` and `reverse` as plain values (each with `ppl`, or `not_run` and why) and the `seconds` they took.

    The oracle critic needs no training: its reverse is the coverage of the grammar.  Raises CeaeError when there are
    no samples, or for the oracle critic with another corpus.
    """
    if protocol.critic == "oracle" and corpus.name != "oracle":
        raise CeaeError(f"critic oracle: only the oracle corpus has a grammar, not {corpus.name}; take ngram or lstm")
    vocabulary, options = corpus.vocabulary(), protocol.options(store, device)
    result: dict[str, Any] = {"critic": protocol.critic, "protocol": asdict(protocol), "corpus": corpus.name}
    seconds = {}
    for direction, run in (("forward", _forward), ("reverse", _reverse)):
        clock = perf_counter()
        try:
            result[direction] = run(samples, corpus, vocabulary, protocol, options)
        except NotRun as reason:
            result[direction] = {"not_run": str(reason)}
        seconds[direction] = round(perf_counter() - clock, 2)
    return result | {"seconds": seconds}


def _forward(samples: Sequence[Sentence], corpus: Corpus, vocabulary: Vocabulary, protocol: Protocol,
             options: Options) -> dict[str, Any]:
    how, scored = kind(protocol.critic), samples[:protocol.forward]
    if how.given:
        critic = how.given(options)
        more = critic.truth(scored) if protocol.critic == "oracle" else {}
        return summary(_scores(critic, scored, protocol)) | more | {"settings": critic.settings}
    critic = how.fit(known(corpus.splits["train"].sentences, vocabulary), vocabulary, options)
    return summary(_scores(critic, known(scored, vocabulary), protocol)) | {"settings": critic.settings}


def _reverse(samples: Sequence[Sentence], corpus: Corpus, vocabulary: Vocabulary, protocol: Protocol,
             options: Options) -> dict[str, Any]:
    how, shown = kind(protocol.critic), samples[:protocol.reverse]
    if protocol.critic == "oracle":
        return how.given(options).coverage(shown)._asdict()
    if how.fit is None:
        raise NotRun(f"critic {protocol.critic} comes as it is and is not trained on samples")
    more = [(word,) for word in words(vocabulary)] if protocol.word_lines else []
    critic = how.fit([*known(shown, vocabulary), *more], vocabulary, options)
    text = known(corpus.splits[protocol.split].sentences, vocabulary)
    return summary(_scores(critic, text, protocol)) | {"settings": critic.settings}


def _scores(critic: Critic, sentences: Sequence[Sentence], protocol: Protocol) -> Scores:
    """By sentence, or as one text by critics that can."""
    in_order = getattr(critic, "score_stream", None)
    return in_order(sentences) if protocol.stream and in_order else critic.score(sentences)


def words(vocabulary: Vocabulary) -> list[str]:
    """The words of a vocabulary without its reserved rows."""
    reserved = {vocabulary.pad, vocabulary.bos, vocabulary.eos, vocabulary.unk}
    return [word for i, word in enumerate(vocabulary.words) if i not in reserved]


def known(sentences: Sequence[Sentence], vocabulary: Vocabulary) -> list[Sentence]:
    """The sentences as a model of this vocabulary sees them: other words are `<unk>`."""
    unknown = vocabulary.words[vocabulary.unk]
    return [tuple(word if word in vocabulary.index else unknown for word in sentence) for sentence in sentences]


def summary(scores: Scores) -> dict[str, Any]:
    """The numbers of a text: perplexities, and over how many positions, of which unknown."""
    positions, oov = int(scores.positions.sum()), int(scores.oov.sum())
    return {"ppl": scores.perplexity(), "ppl_per_word": scores.perplexity_per_word(),
            "ppl_excluding_oov": scores.perplexity_excluding_oov() if oov < positions else None,
            "oov": oov, "tokens": positions, "sentences": len(scores.nats)}
