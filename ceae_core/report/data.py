"""Tables and panels about corpora: which there are, how batches differ, what the grammar knows."""

from collections.abc import Sequence

import numpy as np

from ceae_core.corpora import oracle, table
from ceae_core.corpora.batching import MODES, Encoded, plan
from ceae_core.corpora.corpus import Corpus
from ceae_core.corpora.vocabulary import RULES
from ceae_core.report.figures import Line, Panel
from ceae_core.report.tables import Cell, Download, Table


def corpora_table() -> Table:
    """The corpora that the package knows, and whether their files are in the data folder of this build."""
    rows = [{"name": row["name"], "what": row["title"],
             **{f"sentences | {split}": row[split] for split in table.SPLITS},
             "unknown word": row["unknown"],
             "labels": f"{row['labels']} ({row['label_format']})" if row["labels"] else None,
             "here": Cell(row["ready"], "yes" if row["ready"] else "no", "missing: " + ", ".join(row["missing"])
                          if row["missing"] else "")} for row in table.describe()]
    return Table(rows, "Corpora; the last column says whether their files were there when this page was made",
                 ["Splits named as in the files; short-yelp and the two small corpora are splits of our own."],
                 name="corpora")


def sources_table() -> Table:
    """Where each corpus comes from and under which terms."""
    rows = [{"name": row["name"], "source": row["source"], "licence": row["licence"]} for row in table.describe()]
    return Table(rows, "Sources and licences", name="corpora-sources")


def batching_table(corpus: Corpus, batch_size: int, seed: int = 1) -> Table:
    """What each way of batching does to one epoch of the training split."""
    data = Encoded(corpus.splits["train"].sentences, corpus.vocabulary())
    mean, spread = data.lengths.mean(), data.lengths.std()
    rows = []
    for mode in MODES:
        batches = plan(data.lengths, batch_size, mode, seed, 0)
        padded = sum(len(rows) * int(data.lengths[rows].max()) for rows in batches)
        means = np.array([data.lengths[rows].mean() for rows in batches])
        rows.append({"mode": mode, "batches": len(batches), "of one sentence": sum(len(b) == 1 for b in batches),
                     "padding (% of symbols)": 100 * (1 - data.lengths.sum() / padded),
                     "mean length per batch, sd (symbols)": float((means - mean).std()),
                     "sd of a random batch (symbols)": float(spread / batch_size ** 0.5)})
    return Table(rows, f"One epoch of {len(data):,} sentences in batches of {batch_size}", name="batching", digits={
        "padding (% of symbols)": 1})


def lengths_data(corpus: Corpus, exact: Sequence[float] | None) -> Download:
    """Shares of sentence lengths in the training split, and exactly where known, as a download."""
    counts = np.bincount([len(s) for s in corpus.splits["train"].sentences])
    width = max(len(counts), 0 if exact is None else len(exact))
    share = np.pad(counts / counts.sum(), (0, width - len(counts)))
    rows = [{"words": t, "training split (share)": float(share[t]),
             "exact (share)": None if exact is None else float(exact[t])} for t in range(width)]
    return Download(Table(rows, "lengths", name="lengths"))


def frequency_panel(corpus: Corpus) -> Panel:
    """Rank and relative frequency of the training words; on the oracle corpus also the exact expectation."""
    words = [word for sentence in corpus.splits["train"].sentences for word in sentence]
    _, counts = np.unique(words, return_counts=True)
    ordered = np.sort(counts)[::-1] / counts.sum()
    lines = [Line("training split", np.arange(1, len(ordered) + 1), ordered, 0)]
    if corpus.name == "oracle":
        exact = np.sort(oracle.default().word_counts())[::-1]
        lines.append(Line("exact, from the grammar", np.arange(1, len(exact) + 1), exact / exact.sum(), 1))
    return Panel("Word frequencies", "rank of the word", "share of words", lines, logarithmic="both")


def grammar_table() -> Table:
    """What is known exactly about the grammar as a whole."""
    grammar = oracle.default()
    lengths = grammar.length_distribution()
    words = np.arange(len(lengths))
    rows = [{"fact": "words", "value": len(grammar.words)},
            {"fact": "rules", "value": sum(map(len, grammar.rules[len(grammar.words):]))},
            {"fact": "different sentences", "value": grammar.distinct()},
            {"fact": "shortest and longest sentence (words)",
             "value": f"{words[lengths > 0].min()} and {words[lengths > 0].max()}"},
            {"fact": "mean length (words)", "value": float(lengths @ words)}]
    return Table(rows, "The grammar, exactly", name="oracle-grammar")


def entropy_table(corpus: Corpus) -> Table:
    """The entropy of the grammar and the true mean -log p of each split: the floor of a model on that very text."""
    entropy, error = oracle.ENTROPY
    rows = [{"of": "the grammar (entropy)", "sentences": None, "nats per sentence": entropy, "standard error": error}]
    grammar = oracle.default()
    for name in ("valid", "test"):
        nats = np.array([-grammar.log_prob(s) for s in corpus.splits[name].sentences])
        rows.append({"of": f"the {name} split (floor)", "sentences": len(nats), "nats per sentence": float(nats.mean()),
                     "standard error": float(nats.std(ddof=1) / len(nats) ** 0.5)})
    return Table(rows, "The true cost of a sentence", [
        "The standard error of a split says how far its floor may be from the entropy; a model is compared with the "
        "floor of the sentences on which it was measured."], name="oracle-entropy", places=3)


def log_prob_table(sentences: Sequence[str]) -> Table:
    """log p of sentences, exact and graded."""
    grammar = oracle.default()
    rows = []
    for sentence in sentences:
        exact = grammar.log_prob(sentence.split())
        rows.append({"sentence": sentence, "log p (nats)": Cell(exact, "−∞") if exact == -np.inf else exact,
                     "graded, backoff 0.01 (nats)": grammar.log_prob(sentence.split(), backoff=0.01)})
    return Table(rows, "Exact log-probabilities under the grammar", name="oracle-log-prob")


def labels_table(corpus: Corpus) -> Table:
    """The labels of a split with the share of each value in the grammar and in the training split."""
    grammar, drawn = oracle.default(), corpus.splits["train"].labels
    weights = np.array([p for p, _ in grammar.rules[-1]])
    rows = [{"label": name, "value": value, "exact (share)": float(weights[values == value].sum()),
             "training split (share)": float((drawn[name] == value).mean())}
            for name, values in grammar.labels.items() for value in dict.fromkeys(values)]
    return Table(rows, "Labels of the oracle corpus", name="oracle-labels", places=3)


def vocabulary_table(corpus: Corpus) -> Table:
    """What the two vocabulary rules make of a corpus."""
    rows = []
    test = [word for sentence in corpus.splits["test"].sentences for word in sentence]
    for rule in RULES:
        vocabulary = corpus.vocabulary(rule)
        rows.append({"rule": rule, "rows": len(vocabulary), "first rows": "  ".join(vocabulary.words[:8]),
                     "test words without a row (%)": 100 * sum(w not in vocabulary.index for w in test) / len(test)})
    return Table(rows, f"Vocabulary of the training split of {corpus.name}", name="vocabulary")
