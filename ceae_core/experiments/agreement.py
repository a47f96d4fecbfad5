"""Agreement of runs with a pretrained encoder, and of what stands beside them: words, lengths, labels, other readings.

Each result is computed once for its parameters; recorded ones are reused.
"""

from collections.abc import Callable, Mapping
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ceae_core import experiments, zoo
from ceae_core.assembly import build_model
from ceae_core.corpora import Vocabulary
from ceae_core.corpora.batching import Encoded
from ceae_core.corpora.corpus import Corpus
from ceae_core.errors import CeaeError
from ceae_core.execute import ensure
from ceae_core.hardware import cpu_threads
from ceae_core.measure import latent, sentence_vectors
from ceae_core.measure.agreement import DRAWS, FEWEST, agreement, similarities
from ceae_core.measure.sentence_vectors import Reading, SentenceEncoder
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.pretrained import MINILM, MINILM_FILES
from ceae_core.runs import Store
from ceae_core.seeding import derive, seeded
from ceae_core.spec import RunSpec

NAME = "agreement"
VERSION = 1                         # raise it when a change of the code alters the numbers
SENTENCES = 1000                    # ceae, sec. E
SMOKE_DRAWS = 20
WORDS: Mapping[str, Callable[[Any], np.ndarray]] = {
    "words": sentence_vectors.shared_words,
    "tf-idf": lambda sentences: sentence_vectors.shared_words(sentences, weighed=True),
    "length": sentence_vectors.alike_in_length,
}
Content = dict[str, Any]


class Study:
    """Sentences of a corpus and an encoder's similarity of every two, against which other judges are held."""

    # DEVIATION(ceae:E): which BERT, layer and pooling, and whether products are raw or cosines, is not said; by default
    # MiniLM's last layer, mean over tokens, raw inner products on both sides, as "inner product similarity" reads.
    def __init__(self, spec: RunSpec, *, encoder: str = MINILM, how: Reading | None = None,
                 encoder_similarity: str = "inner", sentences: int | None = None, seed: int = 1,
                 draws: int | None = None, data: str | None = None, store: Store | None = None,
                 results: Path | None = experiments.RESULTS) -> None:
        """`sentences`: by default SENTENCES of the test split, or all where there are fewer different ones.

        `draws`: resamples, by default DRAWS, SMOKE_DRAWS at scale smoke.  `data` is the folder where the corpus's files
        are now; without `results` no recorded one is reused.
        """
        self.spec, self.source, self.how, self.encoder_similarity = spec, encoder, how or Reading(), encoder_similarity
        self.asked, self.seed, self.data = sentences, seed, data
        self.draws = draws or (SMOKE_DRAWS if spec.scale == "smoke" else DRAWS)
        self.store, self.results = store or Store(), results
        self._loaded: list[SentenceEncoder] = []

    # judges -----------------------------------------------------------------------------------------------------

    def of_run(self, spec: RunSpec, similarity: str = "inner", *, device: str = "auto") -> Content:
        """The codes of a run, the mean of q(z|x); trained first where the result is not known and the run not there.

        Raises CeaeError for a run that diverged, a language model and a run on another corpus.
        """
        self._require_codes(spec)

        def judge() -> np.ndarray:
            run, = ensure([spec], self.store, device=device)
            run.require("are no codes to compare")
            return similarities(self._codes(run.model("cpu"), run.vocabulary()), similarity)
        return self._obtain({"judge": "codes", "of": spec.id, "similarity": similarity}, judge)

    def of_untrained(self, spec: RunSpec, similarity: str = "inner") -> Content:
        """The codes of a run's encoder as it was before its first step."""
        self._require_codes(spec)

        def judge() -> np.ndarray:
            vocabulary = self.corpus.vocabulary(spec.settings.vocabulary)
            with seeded(spec.seed, "init"):
                model = build_model(spec, vocabulary)
            return similarities(self._codes(model, vocabulary), similarity)
        return self._obtain({"judge": "untrained", "of": spec.id, "similarity": similarity}, judge)

    def of_words(self, kind: str) -> Content:
        """A similarity of WORDS: shared words, weighed by TF-IDF or not, and likeness in length."""
        return self._obtain({"judge": kind, "of": self.corpus_id}, lambda: WORDS[kind](self.chosen))

    def of_labels(self, *names: str) -> Content:
        """How many of these labels two sentences share; all there are by default.

        Raises CeaeError for a corpus that has none.
        """
        if not self.corpus.splits["test"].labels:
            raise CeaeError(f"agreement: corpus {self.spec.corpus} has no labels; choose one that has, oracle for one")
        columns = {name: values[self.rows] for name, values in self.corpus.splits["test"].labels.items()
                   if not names or name in names}
        return self._obtain({"judge": f"labels {', '.join(columns)}", "of": self.corpus_id},
                            lambda: sentence_vectors.shared_labels(list(columns.values())))

    def of_reading(self, how: Reading, similarity: str = "inner") -> Content:
        """The same encoder, read in another way."""
        return self._obtain({"judge": f"encoder: {how}", "of": self.corpus_id, "similarity": similarity},
                            lambda: similarities(self._vectors(how), similarity))

    def read_as(self, how: Reading, similarity: str = "inner") -> "Study":
        """The same sentences and encoder, read in another way."""
        other = copy(self)
        other.how, other.encoder_similarity = how, similarity
        other.__dict__.pop("reference", None)
        return other

    # what they share --------------------------------------------------------------------------------------------

    @cached_property
    def corpus(self) -> Corpus:
        return (self.spec.moved_to(self.data) if self.data else self.spec).load_corpus()

    @property
    def corpus_id(self) -> str:
        return f"{self.spec.corpus}-{self.spec.corpus_sha256[:12]}"

    @cached_property
    def rows(self) -> np.ndarray:
        """(n,) the chosen sentences of the test split, all different.  Raises CeaeError where there are too few."""
        sentences = self.corpus.splits["test"].sentences
        different = np.sort(list({sentence: i for i, sentence in reversed(list(enumerate(sentences)))}.values()))
        count = min(SENTENCES, len(different)) if self.asked is None else self.asked
        if not FEWEST <= count <= len(different):
            raise CeaeError(f"sentences: {count} were asked for; the test split of {self.spec.corpus} has "
                            f"{len(different)} different ones, and it takes at least {FEWEST}")
        order = np.random.default_rng(derive(self.seed, NAME)).permutation(different)
        return order[:count]

    @cached_property
    def chosen(self) -> list[tuple[str, ...]]:
        return [self.corpus.splits["test"].sentences[i] for i in self.rows]

    @property
    def encoder(self) -> SentenceEncoder:
        """Loaded once for all readings."""
        if not self._loaded:
            self._loaded.append(SentenceEncoder.load(self.source))
        return self._loaded[0]

    @cached_property
    def reference(self) -> np.ndarray:
        """(n, n) similarities by the encoder."""
        return similarities(self._vectors(self.how), self.encoder_similarity)

    def _vectors(self, how: Reading) -> np.ndarray:
        with cpu_threads(1):
            return self.encoder.vectors(self.chosen, how, self._unknown)

    @property
    def _unknown(self) -> list[str]:
        return [self.corpus.unknown] if self.corpus.unknown else []

    def _codes(self, model: TextAutoencoder, vocabulary: Vocabulary) -> np.ndarray:
        with cpu_threads(1):
            return latent.codes(model, Encoded(self.chosen, vocabulary), torch.device("cpu"))[0].numpy()

    def _require_codes(self, spec: RunSpec) -> None:
        if zoo.family(spec.family).posterior is None:
            raise CeaeError(f"run {spec.id}: a language model has no codes to compare; choose a run of an autoencoder")
        if spec.corpus_sha256 != self.spec.corpus_sha256:
            raise CeaeError(f"run {spec.id}: its corpus is not that of the study, {self.corpus_id}; start another one")

    def _obtain(self, who: Mapping[str, str], judge: Callable[[], np.ndarray]) -> Content:
        sha256 = MINILM_FILES["model.safetensors"][:16] if self.source == MINILM else self.encoder.sha256
        parameters = {**who, "sentences": len(self.rows), "seed": self.seed, "draws": self.draws, "encoder":
                      self.source if self.source == MINILM else self.encoder.name, "weights": sha256,
                      "layer": self.how.layer, "pooling": self.how.pooling,
                      "encoder_similarity": self.encoder_similarity}
        if self.results and (found := experiments.known(NAME, parameters, version=VERSION, store=self.store,
                                                        results=self.results)):
            return found

        def compute(**_: Any) -> dict[str, Any]:
            found = agreement(judge(), self.reference, draws=self.draws, seed=self.seed).plain()
            return found | {"corpus": self.spec.corpus, "scale": self.spec.scale, "layers": self.encoder.layers,
                            "cut": self.encoder.cut(self.chosen, self._unknown)}
        return experiments.obtain(NAME, compute, parameters, version=VERSION, store=self.store)
