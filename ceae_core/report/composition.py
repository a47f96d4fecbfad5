"""Tables about what runs are made of: families, stacks, settings by scale, and identities between families."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.execute import ensure
from ceae_core.models.stacks import STACKS
from ceae_core.report.tables import Cell, Table
from ceae_core.runs import Run
from ceae_core.scales import SCALES
from ceae_core.spec import Settings, resolve

# Two recipes for the same model: (family, options) twice.
IDENTITIES = (
    (("fb", {"target": 0}), ("vae", {})),
    (("fb-total", {"target": 0}), ("vae", {})),
    (("beta-vae", {"beta": 1}), ("vae", {})),
    (("ceae", {"norm": "none", "c0": 0, "lambda0": 0, "t_max": 0}), ("ae", {})),
)


def families_table() -> Table:
    """The zoo: what each row composes, the options it has, and the published rows it stands for."""
    rows = []
    for name, family in zoo.FAMILIES.items():
        terms = ", ".join(f"{t.name} × {t.weight.__name__}" for t in family.terms)
        rows.append({"family": name, "what": family.title,
                     "posterior": family.posterior.__name__ if family.posterior else None,
                     "noise": family.noise.__name__ if family.noise else None,
                     "loss besides Rec": terms or None, "step": family.step.__name__,
                     "published rows": ", ".join(map(_row_name, family.rows)) or None})
    return Table(rows, "The zoo: one row per family", ["Published rows: paper, table, row of the table."], name="zoo")


def options_table() -> Table:
    """Every option with its default in each family that has it."""
    defaults = {name: family.defaults() for name, family in zoo.FAMILIES.items() if family.defaults()}
    options = dict.fromkeys(option for own in defaults.values() for option in own)
    rows = [{"option": option, **{name: _shown(own, option) for name, own in defaults.items()}} for option in options]
    return Table(rows, "Options and their defaults at the papers' scale", [
        "A dash: the family does not have the option. auto: computed from the corpus."], name="zoo-options")


def _shown(options: Mapping[str, Any], name: str) -> Cell:
    if name not in options:
        return Cell(None)
    value = options[name]
    return Cell(value, "auto" if value is None and name == "c0" else "none" if value is None else f"{value:g}"
                if isinstance(value, float) else str(value))


def _row_name(key: str) -> str:
    paper, number, model, variant = key.split(":")
    return f"{paper.upper()} {number}: {model}" + (f" ({variant.split('=')[-1]})" if variant else "")


def stacks_table() -> Table:
    """The two LSTM stacks, field by field."""
    stacks = {name: asdict(stack) for name, stack in STACKS.items()}
    rows = [{"choice": field, **{name: Cell(own[field], "PyTorch's" if own[field] is None else str(own[field]))
                                 for name, own in stacks.items()}} for field in next(iter(stacks.values()))]
    return Table(rows, "The two stacks", name="stacks")


def settings_table(names: Sequence[str]) -> Table:
    """Settings that the scales change, beside the papers' values (sizes: those of Yahoo and Yelp)."""
    paper = asdict(Settings())
    rows = [{"setting": name, **{scale: Cell(value := {**paper, **size.settings}[name], str(value))
                                 for scale, size in SCALES.items()}} for name in names]
    return Table(rows, "Settings by scale", ["At scale paper, CEAE starts SGD at 0.1 and the language model at 1."],
                 name="settings")


def identities(device: str = "auto") -> Table:
    """Train both recipes of each pair at scale smoke and compare all weights.  Raises CeaeError when a pair differs."""
    pairs = [[resolve(family, scale="smoke", set=options) for family, options in pair] for pair in IDENTITIES]
    runs = iter(ensure([spec for pair in pairs for spec in pair], device=device))
    rows = []
    for pair in IDENTITIES:
        largest = _difference(next(runs), next(runs))
        if largest:
            raise CeaeError(f"{_recipe(*pair[0])} and {_recipe(*pair[1])} should give the same weights, but they "
                            f"differ by up to {largest:g}")
        rows.append({"recipe": _recipe(*pair[0]), "same as": _recipe(*pair[1]),
                     "largest difference of a weight": largest})
    return Table(rows, "Identities, checked by training both recipes", name="identities", places=0)


def _recipe(family: str, options: Mapping[str, Any]) -> str:
    return " ".join([family, *(f"{name}={value}" for name, value in options.items())])


def _difference(one: Run, other: Run) -> float:
    """Largest absolute difference between weights of the same name; infinite where only one model has the name."""
    a, b = one.model().state_dict(), other.model().state_dict()
    if a.keys() != b.keys():
        return torch.inf
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)
