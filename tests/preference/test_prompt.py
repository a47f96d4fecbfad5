"""The question, its orders, and how replies are read."""

import os
from collections import Counter
from pathlib import Path

import pytest

from ceae_core.errors import CeaeError
from ceae_core.preference import prompt

PAPERS = Path(os.environ.get("CEAE_PAPERS") or "/nonexistent")
TEXTS = ("the tacos were great .", "we will be back .", "2 tacos for 3 .")


@pytest.mark.skipif(not PAPERS.is_dir(), reason="the papers' text is not here (CEAE_PAPERS)")
def test_the_question_is_the_papers():
    text = (PAPERS / "ceae.md").read_text(encoding="utf-8")
    quoted = text.split("using the following prompt : “")[1].split("”")[0]
    assert " ".join(quoted.split()) == prompt.QUESTION


def test_the_message_lists_the_candidates_in_order():
    (message,) = prompt.messages((*TEXTS, "two\nlines"))
    assert message["role"] == "user" and message["content"].startswith(prompt.QUESTION)
    listed = [line for line in message["content"].splitlines() if line[:2] in ("1.", "2.", "3.", "4.")]
    assert listed == [f"1. {TEXTS[0]}", f"2. {TEXTS[1]}", f"3. {TEXTS[2]}", "4. two lines"]


def test_orders(sheet):
    item = sheet.items[0]
    assert prompt.orders(item, "paper") == [(0, 1, 2)]
    rotated = prompt.orders(item, "debiased")
    assert rotated[0] == (0, 1, 2) and len(rotated) == 3
    for place in range(3):
        assert Counter(order[place] for order in rotated) == Counter(range(3))
    with pytest.raises(CeaeError, match="variant: unknown value 'both'; choose paper or debiased"):
        prompt.orders(item, "both")


@pytest.mark.parametrize("reply, place", [
    ("2", 1), ("2.", 1), (" 2\n", 1), ("Sentence 2", 1), ("**2**", 1), ("(3)", 2), ("I choose sentence 1.", 0),
    ("Number 2, as it is the most fluent.", 1), ("The answer is 2 and only 2.", 1),
    ("we will be back .", 1), ('"the tacos were great ."', 0), ("2 tacos for 3 .", 2), ("**we will be back .**", 1)])
def test_replies_that_name_a_candidate(reply, place):
    assert prompt.parse(reply, TEXTS) == place


@pytest.mark.parametrize("reply", ["", " ", "none", "0", "4", "12", "1 or 2", "1. the tacos 2. we", "the second",
                                   "1.5", "x2", "2nd", "I cannot choose.", "the tacos", "-"])
def test_replies_that_name_none_or_several(reply):
    assert prompt.parse(reply, TEXTS) is None


def test_a_reply_that_two_candidates_are_is_none():
    assert prompt.parse("same", ("same", "same")) is None
