"""What `ceae sheet score` says about answers: shares, tests, agreement, bias of positions, and the power there was."""

from typing import Any

import numpy as np

from ceae_core.preference import power, shares
from ceae_core.preference.answers import NONE, Answers

GAP = 0.05                  # difference of two shares whose price in answers is told: 5 points


def of(answers: Answers) -> dict[str, Any]:
    """Everything as plain values; without a single answer, as of a judge who never decides, no shares and tests."""
    sheet = answers.sheet
    votes = shares.votes(answers.choices, len(sheet.models))
    head = {"sheet": sheet.id, "items": len(sheet.items), "raters": list(answers.raters), "answers": int(votes.sum()),
            "open": int((answers.positions == NONE).sum())}
    if not head["answers"]:
        return head | {"shares": {}}
    found = shares.shares(sheet.models, votes)
    test, p = shares.against_chance(votes.sum(0))
    positions = answers.position_counts()
    position_test, position_p = shares.against_chance(positions)
    second, first = sorted(share.share for share in found)[-2:]
    return head | {
        "shares": {share.model: share._asdict() for share in found},
        "interval_level": shares.LEVEL,
        "chance": {"test": test, "p": p, "assumes": "independent answers"},
        "pairs": [pair._asdict() for pair in shares.pairs(sheet.models, votes)],
        "design_effect": float(np.max([shares.design_effect(votes, k) for k in range(len(sheet.models))])),
        "fleiss_kappa": shares.fleiss(answers.choices),
        "positions": {"answers": positions.tolist(), "test": position_test, "p": position_p,
                      "of_models": sheet.positions().tolist()},
        "answers_needed": {"difference": GAP, "alpha": power.ALPHA, "power": power.WANTED,
                           "independent_answers": needed(first, second)},
    }


def needed(first: float, second: float, gap: float = GAP) -> int | None:
    """Independent answers that tell two shares apart which differ by `gap` and have the mean of these two."""
    middle = min(max((first + second) / 2, gap / 2), (1 - 1e-9) / 2)
    return power.answers_needed(middle + gap / 2, middle - gap / 2)
