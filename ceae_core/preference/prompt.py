"""What a language model is asked about an item, in which orders, and how its reply is read."""

import re
from collections.abc import Sequence

from ceae_core.errors import CeaeError
from ceae_core.preference.sheet import Item

# The question of the first paper, word by word (ghose2023contrastive, appendix D).
QUESTION = ("You are a human asked to choose between more realistic sentences. Among the following sentences, which is "
            "the most consistent and high quality semantically, grammatically, and linguistically ?")
# DEVIATION(ceae:D): the paper prints the question only. How the sentences were listed and how a choice was read is not
# said; here they follow numbered, and the number is asked for.
REPLY = "Reply with the number of the sentence only."
VARIANTS = ("paper", "debiased")


def messages(texts: Sequence[str]) -> list[dict[str, str]]:
    """The request for candidates in the order shown; a line break inside a candidate becomes a blank."""
    listed = "\n".join(f"{place}. {' '.join(text.splitlines())}" for place, text in enumerate(texts, 1))
    return [{"role": "user", "content": f"{QUESTION}\n\n{listed}\n\n{REPLY}"}]


def orders(item: Item, variant: str) -> list[tuple[int, ...]]:
    """The orders in which an item is asked, as places of the sheet; an order [2, 0, 1] shows the third candidate first.

    "paper" asks once, as on the sheet.  "debiased" asks all K rotations, so that every candidate stands once at every
    position and a preference for a position cannot favour any (zheng2023judging, sec. 3.4).  Raises CeaeError for
    another variant.
    """
    if variant not in VARIANTS:
        raise CeaeError(f"variant: unknown value {variant!r}; choose {' or '.join(VARIANTS)}")
    places = tuple(range(len(item.texts)))
    return [places[shift:] + places[:shift] for shift in (places if variant == "debiased" else places[:1])]


def parse(reply: str, texts: Sequence[str]) -> int | None:
    """Position (from 0) that a reply names, None where it names none or several.

    A reply counts when exactly one number from 1 to K stands in it, or when it is one of the candidates itself.
    """
    said = " ".join(reply.split()).strip("\"'“”* ")
    repeated = [place for place, text in enumerate(texts) if said and said == " ".join(text.split())]
    if len(repeated) == 1:
        return repeated[0]
    named = {int(number) for number in re.findall(r"(?<![\w.])\d{1,3}(?![\w]|\.\d)", reply)}
    return named.pop() - 1 if len(named) == 1 and 1 <= min(named) <= len(texts) else None
