"""Candidates from the priors of runs."""

from collections.abc import Mapping, Sequence

from ceae_core import generate
from ceae_core.errors import CeaeError
from ceae_core.preference.sheet import Sheet
from ceae_core.report.results import Result
from ceae_core.runs import Run
from ceae_core.seeding import derive

SPARE = 50                  # sentences drawn beyond the items, for candidates that equal another of their item


def sheet_of(runs: Sequence[Run], items: int, seed: int, *, texts: Mapping[str, Sequence[str]] | None = None,
             how: str = "multinomial", temperature: float = 1.0, max_length: int = 100, device: str = "auto",
             allow_equal: bool = False) -> Sheet:
    """A sheet with one candidate of every run in each item, and one of each of the labelled `texts`.

    Raises CeaeError for a run that diverged or is named twice, and for a label that is a run's name.
    """
    candidates, names = {}, names_of(runs)
    for name, run in zip(names, runs, strict=True):
        drawn = generate.of_run(run, items + SPARE, device=device, how=how, seed=derive(seed, "sheet", run.id),
                                temperature=temperature, max_length=max_length)
        candidates[name] = [" ".join(sentence) for sentence in drawn]
    if twice := candidates.keys() & (texts or {}).keys():
        raise CeaeError(f"sheet: two models are called {twice.pop()}; label the text otherwise")
    ids = {name: run.id for name, run in zip(names, runs, strict=True)}
    return Sheet.of(candidates | dict(texts or {}), items, seed, runs=ids, allow_equal=allow_equal,
                    made={"decode": how, "temperature": temperature, "max_length": max_length} if runs else {})


def names_of(runs: Sequence[Run]) -> list[str]:
    """A name for each run: its family with its options, or where that is not enough its id.

    Raises CeaeError when a run is there twice.
    """
    if len({run.id for run in runs}) < len(runs):
        raise CeaeError("sheet: a run is named twice; name different runs")
    names = [Result.of(run).name for run in runs]
    return [name if names.count(name) == 1 else run.id for name, run in zip(names, runs, strict=True)]
