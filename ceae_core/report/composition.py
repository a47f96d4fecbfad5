"""Tables about what runs are made of: families, stacks, settings by scale, and identities between families."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

import torch

from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.execute import ensure
from ceae_core.models.stacks import STACKS
from ceae_core.options import options_of
from ceae_core.report.tables import Cell, Table
from ceae_core.runs import Run
from ceae_core.scales import SCALES
from ceae_core.spec import Settings, resolve

EXTRAS = ("noise", "critics", "refine", "after")     # parts that only some families have
# Two recipes for the same model: (family, options) twice.
IDENTITIES = (
    (("fb", {"target": 0}), ("vae", {})),
    (("fb-total", {"target": 0}), ("vae", {})),
    (("beta-vae", {"beta": 1}), ("vae", {})),
    (("sa-vae", {"svi_steps": 0}), ("vae", {})),
    (("agg-vae", {"max_inner": 0}), ("vae", {})),
    (("wae-mmd", {"mmd": 0}), ("ae", {})),
    (("ceae", {"norm": "none", "c0": 0, "lambda0": 0, "t_max": 0}), ("ae", {})),
    (("cvae", {"contrast": 0, "rec_views": 1, "encoder_dropout": 0}), ("ivae", {})),
)


def families_table() -> Table:
    """The zoo: what each row composes, and the published rows it stands for."""
    rows = []
    for name, family in zoo.FAMILIES.items():
        extras = (getattr(family, part) for part in EXTRAS)
        changed = {**family.options, **family.settings}
        rows.append({"family": Cell(name, html=f"<code>{escape(name)}</code>"), "what": family.title,
                     "posterior": family.posterior.__name__ if family.posterior else None,
                     "with": ", ".join(extra.__name__ for extra in extras if extra) or None,
                     "loss besides Rec": ", ".join(f"{t.name} × {t.weight.__name__}" for t in family.terms) or None,
                     "step": family.step.__name__,
                     "differs in": ", ".join(f"{key}={value}" for key, value in changed.items()) or None,
                     "published rows": _published(family.rows) or None})
    return Table(rows, f"The zoo: one row for each of its {len(rows)} families", [
        "With: the schedule of the noise in a code, critics, the refinement of a posterior, what is fitted after "
        "training. Differs in: options and settings that are not the defaults. Published rows: paper and tables, in "
        "brackets the variants of a table's row; those of CLVM take the stack of the second paper, those of CEAE 2 and "
        "11 the transformer, but for OPTIMUS, whose networks are pretrained."], name="zoo")


def _published(rows: Mapping[str, Any]) -> str:
    """`CEAE 1 (0.6, 0.7), 2 (0.7), 11 (0.7); CLVM 1`: the tables of each paper that have a row of this family."""
    papers: dict[str, dict[str, list[str]]] = {}
    for key in rows:
        paper, number, _, variant = key.split(":")
        papers.setdefault(paper.upper(), {}).setdefault(number, []).append(variant.split("=")[-1])
    named = {paper: [f"{number} ({', '.join(variants)})" if any(variants) else number
                     for number, variants in sorted(tables.items(), key=_printed_order)]
             for paper, tables in papers.items()}
    return "; ".join(f"{paper} {', '.join(numbers)}" for paper, numbers in named.items())


def _printed_order(table: tuple[str, list[str]]) -> tuple[bool, int, str]:
    """Tables by number, sections after them."""
    number = table[0]
    return not number.isdigit(), int(number) if number.isdigit() else 0, number


def options_table() -> Table:
    """Every option: its default in the families that have it, one row for each value, and who declares it."""
    owners: dict[str, dict[str, None]] = {}
    families: dict[tuple[str, str], list[str]] = {}
    for name, family in zoo.FAMILIES.items():
        for part in family.parts:
            for option in options_of(part):
                owners.setdefault(option, {})[part.__name__] = None
        for option, value in family.defaults().items():
            families.setdefault((option, _shown(option, value)), []).append(name)
    rows = [{"option": option, "default": value, "in": ", ".join(names), "declared by": ", ".join(owners[option])}
            for option in owners for (of, value), names in families.items() if of == option]
    return Table(rows, "Options and their defaults at the papers' scale", ["auto: computed from the corpus."],
                 name="zoo-options")


def _shown(option: str, value: Any) -> str:
    if value is None:
        return "auto" if option == "c0" else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


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
