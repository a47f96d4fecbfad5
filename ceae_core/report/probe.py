"""Few-label probes on a page: the first paper's Table 3 beside ours, with what any probe has to be compared with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ceae_core import experiments
from ceae_core.execute import ensure
from ceae_core.experiments import probe
from ceae_core.experiments.probe import Design
from ceae_core.report import published
from ceae_core.report.figures import Line, Panel
from ceae_core.report.recorded import corpora
from ceae_core.report.results import Result, load_recorded, matching, obtain, row_specs
from ceae_core.report.tables import BLANK, Cell, Download, Table
from ceae_core.runs import Store

PAPER, TABLE = "ceae", 3
UNTRAINED, WORDS, FREQUENT, BEST = "untrained encoder", "words, no encoder", "most frequent class", "the best there is"
SPREAD_NOTE = ("Ours: mean ± standard deviation over seeds; a seed is one draw of labelled sentences with one start of "
               "the classifier (how many, and the lowest and highest, as a tooltip). The encoder is one and the same.")


@dataclass(frozen=True)
class Board:
    """Probes at one place: of runs of a corpus at a scale, by the labels of a corpus.

    `found` has the results by run id, `runs` what is known of those runs, `untrained` the result of one of them before
    its training, `against` what to compare with.
    """

    where: str
    runs: Sequence[Result] = ()
    found: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    untrained: Mapping[str, Any] | None = None
    against: Mapping[str, Any] | None = None

    @property
    def place(self) -> str:
        """Corpus and scale."""
        return self.where.partition(", ")[2]

    @property
    def contents(self) -> list[Mapping[str, Any]]:
        """All results there are."""
        return [*self.found.values(), *filter(None, (self.untrained, self.against))]

    @property
    def counts(self) -> list[int]:
        """The numbers of labels, ascending."""
        return sorted({each["labels"] for content in self.contents for each in content["result"]["counts"]})

    def of_row(self, row: str) -> list[Result]:
        """The runs of a published row that were probed, in the order of their seeds."""
        return sorted((r for r in matching(row, self.runs) if r.id in self.found), key=lambda r: r.seed)

    def values(self, run_id: str, count: int) -> list[float]:
        """Accuracies of a run over seeds, in percent; empty where there are none."""
        return accuracies(self.found.get(run_id), count)


def accuracies(content: Mapping[str, Any] | None, count: int) -> list[float]:
    """Accuracies over seeds in percent with `count` labels, of a result of a probe or of what it is compared with."""
    return [] if content is None else next((each["accuracy_percent"] for each in content["result"]["counts"]
                                            if each["labels"] == count), [])


# where results come from ---------------------------------------------------------------------------------------------

def build(corpus: str, scale: str, seed: int, *, device: str = "auto", retrain: bool = False,
          store: Store | None = None) -> Board:
    """Every row of the table: results that this machine keeps, else recorded with the project, else computed now.

    With `retrain` nothing that is recorded counts.  For a corpus without labels the board is empty.
    """
    store, design = store or Store(), probe.usual(scale)
    specs = row_specs(PAPER, TABLE, corpus, scale, [seed])
    here = f"this build, {corpus} at {scale}"
    if not specs[0].load_corpus().splits["train"].labels:
        return Board(here)
    runs = obtain(specs, device=device, retrain=retrain, store=store)
    where = {"store": store, **({"results": store.root} if retrain else {})}       # no recorded ones among the runs
    found = {spec.id: probe.known(spec, design, **where) for spec in specs}
    missing = [spec for spec in specs if found[spec.id] is None]
    plain = next(spec for spec in specs if spec.family == "ae")
    untrained = probe.known(plain, design, untrained=True, **where)
    needed = ensure([*missing, *([] if untrained else [plain])], store, device=device)
    made = probe.obtain(needed[:len(missing)], design, store=store, device=device)
    found |= {spec.id: content for spec, content in zip(missing, made, strict=True)}
    if untrained is None:
        untrained, = probe.obtain(needed[-1:], design, untrained=True, store=store, device=device)
    own = probe.Source(plain.corpus, plain.corpus_sha256, plain, None)
    return Board(here, runs, found, untrained, probe.of_source(own, design, **where))


def recorded(design: Design | None = None) -> list[Board]:
    """The boards of what is recorded with the project under a design (default: that of the paper's table)."""
    design = design or Design()
    asked = {**design.choosing(), "standardised": design.standardised, **asdict(design.protocol)}
    runs = {r.id: r for corpus in corpora() for r in load_recorded(corpus)}
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for content in experiments.recorded(probe.NAME):
        parameters = content["parameters"]
        if parameters["run_id"] in runs and all(parameters[name] == value for name, value in asked.items()):
            run = runs[parameters["run_id"]]
            groups.setdefault((run.corpus, run.scale, parameters["labelled"]), []).append(content)
    against = {content["parameters"]["labelled"]: content for content in experiments.recorded(probe.BASELINES)
               if all(content["parameters"][name] == value for name, value in design.choosing().items())}
    boards = []
    for (corpus, scale, labelled), contents in sorted(groups.items()):
        found = {c["parameters"]["run_id"]: c for c in contents if not c["parameters"]["untrained"]}
        untrained = [c for c in contents if c["parameters"]["untrained"]]
        boards.append(Board(f"recorded, {corpus} at {scale}", [runs[run_id] for run_id in found], found,
                            untrained[0] if untrained else None, against.get(labelled)))
    return boards


# tables --------------------------------------------------------------------------------------------------------------

def cell(values: Sequence[float], title: str = "") -> Cell:
    """Accuracies over seeds as mean ± standard deviation."""
    if not values:
        return Cell(None, BLANK, title)
    mean = float(np.mean(values))
    title = "; ".join(filter(None, [f"{len(values)} seeds, {min(values):.1f} to {max(values):.1f}", title]))
    if len(set(values)) == 1:
        return Cell(mean, f"{mean:.1f}", title)
    return Cell(mean, f"{mean:.1f} ± {np.std(values, ddof=1):.1f}", title)


def printed() -> dict[str, dict[int, published.Published]]:
    """Row -> number of labels -> printed cell of Table 3."""
    frame = published.load(PAPER, TABLE)
    found: dict[str, dict[int, published.Published]] = {}
    for each in frame.itertuples():
        count = int(each.metric.partition("@")[2].removesuffix("labels"))
        found.setdefault(each.row, {})[count] = published.cell(each.row, each.dataset, each.metric)
    return found


def beside(boards: Sequence[Board], caption: str, name: str, notes: Sequence[str] = ()) -> Table:
    """Table 3 with the first encoder of each row at each place, then what has no trained encoder."""
    rows = []
    for row, cells in printed().items():
        ours = {board.where: board.of_row(row)[:1] for board in boards}
        rows.append({"codes of": published.title(row),
                     **{f"published | {count:,}": Cell(cell.value, f"{cell.value:.1f}{'*' if cell.starred else ''}",
                                                       cell.citation, strong=cell.bold)
                        for count, cell in cells.items()},
                     **{f"{board.where} | {count:,}": cell(board.values(run.id, count), run.id) if run else
                        Cell(None, "not probed" if count == board.counts[0] else BLANK)
                        for board in boards for run in (ours[board.where] or [None]) for count in board.counts}})
    rows += _others(boards, rows[0])
    origin = (f"Accuracy in percent, by number of labelled sentences. Published: {published.CITATIONS[PAPER]}, Table "
              f"{TABLE}; bold and * (insignificant) as there.")
    return Table(rows, caption, [origin, SPREAD_NOTE, *notes], name, places=1)


def _others(boards: Sequence[Board], like: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of what any probe is compared with, with the columns of `like`."""
    def of(board: Board, name: str, count: int) -> Cell:
        if name in (UNTRAINED, WORDS):
            return cell(accuracies(board.untrained if name == UNTRAINED else board.against, count))
        key = {FREQUENT: "majority_percent", BEST: "best_percent"}[name]
        return Cell(board.against and board.against["result"][key])
    titles = {UNTRAINED: "the plain autoencoder before its first step",
              WORDS: "logistic regression on TF-IDF of words and pairs of words, from the same labels",
              FREQUENT: "always the class that is most frequent in training",
              BEST: "the classifier that knows the grammar of the oracle corpus"}
    rows = []
    for name, title in titles.items():
        columns = {f"{board.where} | {count:,}": of(board, name, count) for board in boards for count in board.counts}
        if any(each.value is not None for each in columns.values()):
            rows.append({column: Cell(None, BLANK) for column in like} | columns
                        | {"codes of": Cell(name, title=title, strong=True)})
    return rows


def data(boards: Iterable[Board], name: str) -> Download:
    """Every accuracy, by seed, as a download."""
    rows = []
    for board in boards:
        names = {r.id: r.name for r in board.runs}
        contents = [(names[run_id], run_id, content) for run_id, content in board.found.items()]
        contents += [(label, None, content) for label, content in ((UNTRAINED, board.untrained), (WORDS, board.against))
                     if content]
        rows += [{"place": board.place, "codes of": label, "run": run_id, "labels": each["labels"], "seed": seed,
                  "accuracy (%)": value, "experiment": content["id"]} for label, run_id, content in contents
                 for each in content["result"]["counts"] for seed, value in enumerate(each["accuracy_percent"], 1)]
    return Download(Table(rows, name, name=name))


# the learning curves -------------------------------------------------------------------------------------------------

def curves(boards: Sequence[Board]) -> list[Panel]:
    """Accuracy against the number of labels, as printed and at each place, with a band of one sd over seeds."""
    rows = printed()
    style = {row: i for i, row in enumerate(rows)}
    others = {UNTRAINED: 3, WORDS: 0}
    panels = [Panel("Published", "labelled sentences", "accuracy (%)", [
        *(Line(published.title(row), list(cells), [cell.value for cell in cells.values()], style[row])
          for row, cells in rows.items()),
        *(Line(name, [], [], dash, plain=True) for name, dash in others.items())], logarithmic="x")]    # for the legend
    for board in boards:
        lines = [_line(published.title(row), [(count, board.values(run.id, count)) for count in board.counts],
                       style[row]) for row in rows for run in board.of_row(row)[:1]]
        lines += [_line(name, [(count, accuracies(content, count)) for count in board.counts], others[name], plain=True)
                  for name, content in ((UNTRAINED, board.untrained), (WORDS, board.against)) if content]
        levels = {FREQUENT: board.against["result"]["majority_percent"]} if board.against else {}
        corpus = board.place.partition(" at ")[0]
        panels.append(Panel(corpus, "labelled sentences", "accuracy (%)", lines, levels, logarithmic="x"))
    return panels


def _line(label: str, points: Sequence[tuple[int, Sequence[float]]], style: int, plain: bool = False) -> Line:
    known = [(count, np.mean(values), np.std(values, ddof=1) if len(values) > 1 else 0.0)
             for count, values in points if values]
    x, y, sd = (list(column) for column in zip(*known, strict=True))
    return Line(label, x, y, style, spread=([a - b for a, b in zip(y, sd, strict=True)],
                                            [a + b for a, b in zip(y, sd, strict=True)]), plain=plain)


# spread over encoders, and differences -------------------------------------------------------------------------------

@dataclass(frozen=True)
class Gap:
    """How much better one row is than another with some labels: difference of means over seeds and its margin."""

    difference: float
    margin: float

    @property
    def holds(self) -> bool | None:
        """Whether the first is better; None where that is closer than the margin."""
        return None if abs(self.difference) <= self.margin else self.difference > 0


def encoder_sd(boards: Iterable[Board], count: int, fewest: int = 3) -> float | None:
    """Standard deviation, over encoders trained with different seeds, of a row's accuracy: the largest of any row with
    at least `fewest` encoders at one place; None where there is none."""
    found = []
    for board in boards:
        for row in printed():
            means = [np.mean(values) for run in board.of_row(row) if (values := board.values(run.id, count))]
            if len(means) >= fewest:
                found.append(float(np.std(means, ddof=1)))
    return max(found, default=None)


def gap(board: Board, row: str, other: str, count: int, apart: float, sd: float | None) -> Gap | None:
    """The difference of two rows, each the mean of its encoders; None where one was not probed.

    A seed gives all encoders the same sentences, so seeds are paired.  The margin is `apart` standard errors: of the
    mean difference over seeds, and of so many encoders with standard deviation `sd`, where that is known.
    """
    sides = [[values for run in board.of_row(key) if (values := board.values(run.id, count))] for key in (row, other)]
    if not all(sides):
        return None
    differences = np.subtract(*(np.mean(side, axis=0) for side in sides))                       # (seeds,)
    variance = np.var(differences, ddof=1) / len(differences) if len(differences) > 1 else 0.0
    encoders = sum((sd or 0.0) ** 2 / len(side) for side in sides)
    return Gap(float(differences.mean()), apart * float(variance + encoders) ** 0.5)


def spread_over_encoders(boards: Iterable[Board], name: str) -> Table | None:
    """Rows of which several encoders were probed: how far encoders differ, beside how far seeds of one do."""
    rows = []
    for board in boards:
        for row in printed():
            runs = board.of_row(row)
            if len(runs) < 3:
                continue
            values = {count: [board.values(run.id, count) for run in runs] for count in board.counts}
            rows.append({"place": board.place, "codes of": published.title(row), "encoders": len(runs),
                         **{f"over encoders | {count:,}": float(np.std([np.mean(each) for each in found], ddof=1))
                            for count, found in values.items()},
                         **{f"over seeds of one encoder | {count:,}":
                            float(np.mean([np.std(each, ddof=1) for each in found]))
                            for count, found in values.items()}})
    if not rows:
        return None
    return Table(rows, "Two kinds of chance: another encoder, and other labelled sentences", [
        "Standard deviations in points of accuracy, by number of labels. Over encoders: of the mean over seeds, "
        "between trainings that differ in the seed alone."], name, places=1)
