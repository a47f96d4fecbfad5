"""Rules for the first paper's tables of transformers (Tables 2 and 11)."""

from collections.abc import Mapping

from ceae_core.report import axis, published
from ceae_core.report.published import model_and_variant
from ceae_core.report.reproduction.generated import ceae_perplexities
from ceae_core.report.reproduction.language import Source, behind, column, lowest_rec, order, price
from ceae_core.report.reproduction.outcome import Outcome, Records, tell
from ceae_core.report.reproduction.printed import wins

LARGE = "OPTIMUS"                                   # in the variant of rows with pretrained networks
CEAE, BN, VAE = "CEAE:", "BN-VAE:gamma=0.7", "VAE:"


def rows(table: int, large: bool = False) -> list[str]:
    """The published rows of small transformers, or of those with pretrained networks (OPTIMUS itself among them)."""
    return [row for row in published.rows("ceae", table) if (LARGE in row) == large]


def read(table: int, records: Records, metric: str) -> dict[str, Source]:
    """Our runs of a table's rows, read by one measure, where there are at least two rows."""
    found = {label: Source.of("ceae", table, results, lambda row: metric) for label, results in records.runs.items()}
    return {label: source for label, source in found.items() if len(source.numbers) > 1}


def _price(table: int, records: Records, sources: Mapping[str, Source]) -> str:
    bound = read(table, records, axis.BOUND)
    return price(table, {label: (source.numbers, bound[label].numbers) for label, source in sources.items()})


def _gaps(head: str, pairs: Mapping[str, tuple[str, str]], sources: Mapping[str, Source]) -> str:
    """Where both rows of a pair are there, the difference of their Rec."""
    said = [f"{label} ({name}) {source.numbers[first] - source.numbers[second]:+.1f}"
            for label, source in sources.items() for name, (first, second) in pairs.items()
            if first in source.numbers and second in source.numbers]
    return tell(head + ", ".join(said)) if said else ""


def ceae_table2(records: Records) -> Outcome:
    """First paper, Table 2: who has the lowest Rec among small transformers, and among pretrained ones."""
    datasets, sources = ("Yahoo", "Yelp"), read(2, records, axis.REC)
    small, large = rows(2), rows(2, large=True)
    pairs = {"small": (CEAE, BN), "pretrained": (f"CEAE:{LARGE}", f"{BN}, {LARGE}")}
    checks = [lowest_rec(2, CEAE, "the small transformers", small, datasets, sources),
              lowest_rec(2, f"CEAE:{LARGE}", "those with pretrained networks", large, datasets, sources)]
    for dataset in datasets:
        printed = column("ceae", 2, dataset, "Rec")
        ours = {label: source.numbers for label, source in sources.items()}
        checks.append(order(f"{dataset} (small transformers)", {m: printed[m] for m in map(model_and_variant, small)},
                            ours))
    head = "CEAE − BN-VAE, Rec in nats: "
    theirs = ", ".join(f"{dataset} ({name}) {printed[first] - printed[second]:+.1f}" for dataset in datasets
                       for printed in [column("ceae", 2, dataset, "Rec")] for name, (first, second) in pairs.items())
    won = {name: wins(2, *(f"ceae:2:{model}" for model in pair)) for name, pair in pairs.items()}
    cells = ", ".join(f"{better} of {every} cells ({name})" for name, (better, every) in won.items())
    return Outcome(tell(head + theirs), _gaps(head, pairs, sources),
                   f"As printed CEAE is before BN-VAE in {cells}; no spread is printed for any transformer, so no "
                   "difference of this table can be tested.", checks, behind(sources))


def ceae_table11(records: Records) -> Outcome:
    """First paper, Table 11: transformers on the Penn Treebank."""
    sources, printed = read(11, records, axis.REC), column("ceae", 11, "PTB", "Rec")
    checks = [lowest_rec(11, CEAE, "all rows", rows(11), ["PTB"], sources),
              order("PTB", printed, {label: source.numbers for label, source in sources.items()}),
              *ceae_perplexities(rows(11), records.of_transformers)]
    vae = published.cell("clvm:1:VAE:", "PTB", "-ELBO").value - published.cell("clvm:1:VAE:", "PTB", "KL").value
    head = "CEAE − BN-VAE (0.7), Rec in nats: "
    return Outcome(tell(f"{head}{printed[CEAE] - printed[BN]:+.1f}"), _gaps(head, {"PTB's rows": (CEAE, BN)}, sources),
                   f"The PTB numbers of the two papers are not of one kind: the VAE's Rec is {printed[VAE]:.1f} here "
                   f"and {vae:.1f} by Table 1 of the other. {_price(11, records, sources)}", checks, behind(sources))
