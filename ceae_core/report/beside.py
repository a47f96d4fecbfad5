"""Published | recorded | this build: the rows of a published table beside our runs of the same models."""

from collections.abc import Mapping, Sequence

from ceae_core.errors import CeaeError
from ceae_core.report import published
from ceae_core.report.compare import DASH_NOTE, by_name, run_cell, summary
from ceae_core.report.results import LABELS, Result, largest, matching, zoo_row
from ceae_core.report.tables import BLANK, Cell, Table

UNITS = {"nats/sentence": " (nats)", "units": " (units)", "percent": " (%)", "perplexity": ""}


def printed(row: str, dataset: str, metric: str) -> tuple[str, Cell]:
    """Header, without the dataset, and cell of a published number; bold where the paper has it bold."""
    found = published.cell(row, dataset, metric)
    text = f"{found.value:.1f}" if found.unit == "nats/sentence" and not found.value % 1 else f"{found.value:g}"
    return (f"{metric.replace('-ELBO', '−ELBO')}{UNITS[found.unit]}",
            Cell(found.value, text, found.citation, strong=found.bold))


def with_paper(paper: str, table: int, cells: Sequence[tuple[str, str]], recorded: Sequence[Result],
               built: Sequence[Result], metrics: Sequence[str], caption: str, name: str,
               notes: Sequence[str] = (), about: Mapping[str, Mapping[str, str]] | None = None,
               built_is: str = "this build", only: Sequence[str] | None = None) -> Table:
    """Every row of a published table with its `cells` (dataset, metric), then `metrics` of recorded and built runs.

    `about` adds columns beside the published numbers: header -> row -> text.  A row that the zoo does not have says so;
    a run that is not recorded shows as "not recorded".  Of recorded runs at several scales those at the largest count.
    `built_is` heads the columns of `built`, `only` are the rows to show.  Raises CeaeError when the zoo has the row and
    `built` does not.
    """
    datasets = list(dict.fromkeys(dataset for dataset, _ in cells))
    head = "published" if len(datasets) > 1 else f"published, {datasets[0]}"
    keys = published.rows(paper, table) if only is None else only
    sources = {"recorded": {key: largest(matching(key, recorded)) for key in keys},
               built_is: {key: matching(key, built) for key in keys}}
    rows = []
    for key in keys:
        if zoo_row(key) and not sources[built_is][key]:
            raise CeaeError(f"{key}: the zoo has this row but the chapter asked for no run of it")
        row: dict = {"model": published.title(key)}
        for dataset, metric in cells:
            header, cell = printed(key, dataset, metric)
            row[f"{head} | {dataset} {header}" if len(datasets) > 1 else f"{head} | {header}"] = cell
        row |= {f"{head} | {header}": texts.get(key) for header, texts in (about or {}).items()}
        for source, groups in sources.items():
            found = [r for group in groups.values() for r in group]
            row |= _ours(source + _where(found), groups[key], metrics if found else (), zoo_row(key) is not None)
        rows.append(row)
    origin = (f"Published: {published.CITATIONS[paper]}, Table {table}; bold as there. Not recorded: there is no "
              "recorded run of this row.")
    return Table(rows, caption, [origin, *notes, DASH_NOTE], name)


def _ours(source: str, group: Sequence[Result], metrics: Sequence[str], known: bool) -> dict[str, Cell]:
    """The cells of one row from our runs: which runs they are, and `metrics`."""
    by_name(group)                              # refuses what must not be averaged
    lacking = Cell(None, "not recorded" if known else "not in the zoo")
    return {f"{source} | run": run_cell(group) if group else lacking,
            **{f"{source} | {LABELS[m]}": summary(group, m) if group else Cell(None, BLANK) for m in metrics}}


def _where(results: Sequence[Result]) -> str:
    """Corpus and scale that results share, as far as they do."""
    corpora, scales = ({getattr(r, name) for r in results} for name in ("corpus", "scale"))
    corpus = f", {corpora.pop()}" if len(corpora) == 1 else ""
    return corpus + (f" at {scales.pop()}" if len(scales) == 1 else "")
