"""Critics: models of text that judge generated sentences.  KINDS is the table of them, `scores` what they all say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ceae_core.corpora import Vocabulary
from ceae_core.critics.scores import Critic, Scores, Sentence
from ceae_core.errors import CeaeError
from ceae_core.runs import Store

__all__ = ["KINDS", "Critic", "Kind", "Options", "Scores", "Sentence", "kind"]
NO_WORDS = 4                        # rows of a vocabulary that are no words: padding, <s>, </s>, <unk>


@dataclass(frozen=True)
class Options:
    """What critics can be told; each kind takes what concerns it."""

    order: int = 5                          # ngram: longest n-gram
    unknown: str = "rename"                 # ngram: what becomes of <unk> in a text, rename or skip
    count_end: bool = True                  # ngram: score and count the ends of sentences
    model: str = "gpt2"                     # gpt2: a folder with weights, or a name of the Hugging Face hub
    download: bool = False                  # gpt2: fetch what a name stands for if it is not in the local cache
    scale: str = "paper"                    # lstm, gpt2-scratch: how large and how long trained, see ceae_core.scales
    seed: int = 1                           # lstm, gpt2-scratch: of the training
    device: str = "auto"
    store: Store | None = None              # where trained critics are kept; None: the default store


@dataclass(frozen=True)
class Kind:
    """How one gets a critic: fitted to sentences, or as it is.  Exactly one of `fit` and `given` is there.

    `fit` takes sentences, the vocabulary of the corpus and options, `given` options; both raise NotRun where the kind
    cannot be had here.
    """

    title: str
    fit: Callable[[Sequence[Sentence], Vocabulary, Options], Critic] | None = None
    given: Callable[[Options], Critic] | None = None


def _ngram(sentences: Sequence[Sentence], vocabulary: Vocabulary, options: Options) -> Critic:
    from ceae_core.critics.ngram import NgramCritic
    return NgramCritic.fit(sentences, order=options.order, types=len(vocabulary) - NO_WORDS, unknown=options.unknown,
                           count_end=options.count_end)


def _lstm(sentences: Sequence[Sentence], vocabulary: Vocabulary, options: Options) -> Critic:
    from ceae_core.critics import lstm
    return lstm.train(sentences, vocabulary, lstm.settings_at(options.scale), options.seed, device=options.device,
                      store=options.store)


def _gpt2_scratch(sentences: Sequence[Sentence], vocabulary: Vocabulary, options: Options) -> Critic:
    from ceae_core.critics import gpt2_scratch
    return gpt2_scratch.train(sentences, vocabulary, gpt2_scratch.settings_at(options.scale), options.seed,
                            device=options.device, store=options.store)


def _gpt2(options: Options) -> Critic:
    from ceae_core.critics import gpt2
    return gpt2.load(options.model, download=options.download, device=options.device)


def _oracle(options: Options) -> Critic:
    from ceae_core.critics import oracle
    return oracle.default()


KINDS: dict[str, Kind] = {
    "ngram": Kind("n-gram model, modified Kneser-Ney", fit=_ngram),
    "lstm": Kind("LSTM language model", fit=_lstm),
    "gpt2-scratch": Kind("GPT-2 architecture, trained on the corpus", fit=_gpt2_scratch),
    "gpt2": Kind("GPT-2, pretrained", given=_gpt2),
    "oracle": Kind("the grammar of the oracle corpus", given=_oracle),
}


def kind(name: str) -> Kind:
    """The kind of that name.  Raises CeaeError that lists the names there are."""
    if name not in KINDS:
        raise CeaeError(f"critic: unknown kind {name!r}; choose one of {', '.join(KINDS)}")
    return KINDS[name]
