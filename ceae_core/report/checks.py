"""What the printed numbers of the second paper must satisfy, whatever model they belong to."""

import math
from collections.abc import Mapping, Sequence

from ceae_core.corpora import table as corpora
from ceae_core.report import published
from ceae_core.report.beside import printed
from ceae_core.report.intervals import Interval
from ceae_core.report.results import Result, zoo_row
from ceae_core.report.tables import Cell, Table

HALF_NELBO, HALF_PPL = 0.05, 0.005          # half a unit of the last printed digit of -ELBO and PPL
CORPUS = {"PTB": "ptb", "Yahoo": "yahoo", "Yelp": "yelp"}       # dataset of a table -> corpus of this project


def implied_tokens(nelbo: float, ppl: float) -> Interval:
    """Predicted tokens per sentence n for which PPL = exp(-ELBO / n), both numbers as they were before rounding."""
    return Interval((nelbo - HALF_NELBO) / math.log(ppl + HALF_PPL), (nelbo + HALF_NELBO) / math.log(ppl - HALF_PPL))


def counted_tokens(recorded: Sequence[Result]) -> dict[str, float]:
    """Dataset -> predicted tokens per test sentence, end symbol included, as the recorded runs counted them."""
    names = {corpus: dataset for dataset, corpus in CORPUS.items()}
    return {names[r.corpus]: r.metric("tokens_per_sentence") for r in recorded
            if r.corpus in names and r.metric("tokens_per_sentence") is not None}


def log_sentences(dataset: str, split: str) -> float:
    """log N of a split in nats: the most that a code can say about which of its N sentences it belongs to."""
    return math.log(corpora.entry(CORPUS[dataset]).splits[split].sentences)


def arithmetic(table: int, tokens: Mapping[str, float], name: str) -> Table:
    """Each row of a table of the second paper: does its PPL follow from its -ELBO, and is its MI possible?

    `tokens` has the predicted tokens per test sentence of the datasets where somebody counted; elsewhere a row is held
    against the other rows.  With N sentences the MI is at most log N: it is defined with the empirical distribution of
    the data (clvm, sec. 3.2).
    """
    datasets = dict.fromkeys(published.load("clvm", table)["dataset"])
    spans = {(row, dataset): implied_tokens(published.cell(row, dataset, "-ELBO").value,
                                            published.cell(row, dataset, "PPL").value)
             for dataset in datasets for row in published.rows("clvm", table)}
    rows = []
    for (row, dataset), span in spans.items():
        count = tokens.get(dataset)
        others = [other for (_, place), other in spans.items() if place == dataset]
        fits = count in span if count is not None else all(span.meets(other) for other in others)
        rows.append({
            **({"corpus": dataset} if len(datasets) > 1 else {}), "model": published.title(row),
            **{f"published | {header}": cell
               for header, cell in (printed(row, dataset, metric) for metric in ("-ELBO", "PPL", "KL", "MI", "AU"))},
            "tokens per sentence | implied": Cell(sum(span) / 2, f"{span.low:.2f} to {span.high:.2f}"),
            "tokens per sentence | counted": Cell(count, "" if count is None else f"{count:.3f}"),
            "PPL fits": "yes" if fits else "no",
            "MI at most log N": _possible(published.cell(row, dataset, "MI").value, dataset)})
    notes = [f"Published: {published.CITATIONS['clvm']}, Table {table}; bold as there. Implied: what the printed "
             "digits of −ELBO and PPL leave possible, the end symbol counted. PPL fits: the count lies there or, where "
             "nobody counted, one number serves all rows of the corpus."]
    return Table(rows, f"Arithmetic of the published Table {table}", notes, name)


def _possible(mi: float, dataset: str) -> Cell:
    """The verdict on a printed MI against log N of the test and of the training split."""
    above = [split for split in ("test", "train") if mi > log_sentences(dataset, split)]
    bounds = " and ".join(f"{log_sentences(dataset, split):.2f} ({split})" for split in above)
    return Cell("no", f"no, above {bounds}") if above else Cell("yes")


def commands(table: int, dataset: str, name: str) -> Table:
    """The command that trains each row of a published table on a corpus for which this project records no runs."""
    rows = []
    for row in published.rows("clvm", table):
        family, changes = zoo_row(row) or (None, {})
        options = "".join(f" --set {option}={value}" for option, value in changes.items())
        rows.append({"model": published.title(row), "command": family and (
            f"ceae train {family} --corpus {CORPUS[dataset]} --scale paper{options}")})
    return Table(rows, f"How to train the rows of the published Table {table}", ["A dash: not in the zoo."], name)
