"""What the project found in the two papers, one record per finding, and the computation that shows it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ceae_core.errors import CeaeError

VERDICTS = {        # kind of a finding -> the verdicts there are
    "equation": ("holds", "holds if", "error", "typo", "definition"),
    "number": ("consistent", "inconsistent", "impossible", "unexplained", "not comparable"),
    "claim": ("supported", "partly supported", "not supported", "not checkable"),
    "choice": ("open", "contradictory"),
}


@dataclass(frozen=True)
class Evidence:
    """What a check computed.

    `holds`: whether it came out as the finding says.  `shown`: one or two sentences with the numbers, made from
    `values`, as a page prints them.
    """

    holds: bool
    shown: str
    values: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", {name: float(value) for name, value in self.values.items()})


@dataclass(frozen=True)
class Finding:
    """One statement about a paper.

    `place` is where the paper says it ("Eq. 8", "Table 12", "section 3.1"), `says` what it says and `finding` what is
    right instead or under which condition it holds, both in MyST.  `check` computes the evidence; None: established by
    reading only, which `basis` then explains.  `see` names a label of the book where the argument is made in full.
    """

    key: str                                    # stable, "ceae-eq-8"; the anchor of the finding in the book
    paper: str                                  # "ceae" or "clvm"
    place: str
    kind: str                                   # a key of VERDICTS
    verdict: str
    says: str
    finding: str
    check: Callable[[], Evidence] | None = None
    basis: str = ""                             # without a check: what was read
    see: str = ""

    def __post_init__(self) -> None:
        """Raises CeaeError for a kind or verdict that there is not, and for a finding without check or basis."""
        if self.verdict not in VERDICTS.get(self.kind, ()):
            raise CeaeError(f"finding {self.key}: {self.kind!r} with verdict {self.verdict!r}; there are {VERDICTS}")
        if (self.check is None) == (not self.basis):
            raise CeaeError(f"finding {self.key}: give either a check or the basis on which it rests")
