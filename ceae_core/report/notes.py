"""Remarks that several chapters share."""

from dataclasses import dataclass
from html import escape

from ceae_core import scales


@dataclass(frozen=True)
class Note:
    """A box with a title; `kind` is an admonition of the theme: note, tip, important or warning."""

    title: str
    text: str
    kind: str = "note"

    def __repr__(self) -> str:
        return f"{self.title}: {self.text}"

    def _repr_html_(self) -> str:
        return (f'<div class="admonition {self.kind}"><p class="admonition-title">{escape(self.title)}</p>'
                f"<p>{escape(self.text)}</p></div>")


def scale_note(scale: str) -> Note | None:
    """What to think of numbers at this scale; nothing to say at `quick` and `paper`, for which the text is written."""
    summary = scales.scale(scale).summary
    if scale == "smoke":
        return Note("These numbers mean nothing", "This page was executed at scale smoke, which only shows that every "
                    "part works: models this small, trained for seconds, learn next to nothing. The text describes "
                    "what scale quick shows.", "warning")
    if scale == "laptop":
        return Note("Scale laptop", f"This page was executed at scale laptop ({summary}) The text describes what scale "
                    "quick shows on the oracle corpus.")
    return None
