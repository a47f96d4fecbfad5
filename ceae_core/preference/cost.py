"""What asking a model will cost, roughly: an estimate before any money is spent."""

from collections.abc import Sequence
from typing import Any

from ceae_core.preference.judge import Question

LETTERS_PER_TOKEN = 4.0     # of English text, the usual rule of thumb; less exact for words cut up by blanks
FRAME_TOKENS = 8            # of a message with its role, about
ANSWER_TOKENS = 5           # of a reply that is a number and little else


def estimate(questions: Sequence[Question], price_in: float | None, price_out: float | None,
             answer_tokens: int = ANSWER_TOKENS) -> dict[str, Any]:
    """Requests, tokens and cost of the questions; the cost in the currency of the prices, which are per million tokens.

    None without prices: they change, so none is known here.
    """
    letters = sum(len(message["content"]) for question in questions for message in question.messages)
    tokens_in = round(letters / LETTERS_PER_TOKEN) + FRAME_TOKENS * len(questions)
    tokens_out = answer_tokens * len(questions)
    cost = None if price_in is None or price_out is None else (tokens_in * price_in + tokens_out * price_out) / 1e6
    return {"requests": len(questions), "prompt_tokens_estimate": tokens_in, "answer_tokens_estimate": tokens_out,
            "cost_estimate": cost}
