"""Rules for perplexities of samples: from invented boards, and what the recorded ones give."""

from ceae_core.report import published
from ceae_core.report.perplexity import CLVM, Board
from ceae_core.report.reproduction import outcome
from ceae_core.report.reproduction.generated import below, ceae_perplexities, clvm_table4
from ceae_core.report.reproduction.outcome import PARTLY, Records, verdict


def board(critic, decoder, numbers, where="recorded, ptb at laptop"):
    """family -> (forward, reverse)"""
    found = {(family, critic, decoder): {"forward": {"ppl": forward}, "reverse": {"ppl": reverse}}
             for family, (forward, reverse) in numbers.items()}
    return Board(where, found, {key: f"perplexity-{i:012x}" for i, key in enumerate(found)})


def test_below_compares_with_the_lowest_other():
    made = board("lstm", "greedy", {"ceae": (10.0, 9.0), "vae": (12.0, 8.9), "ae": (50.0, 3.0)})
    assert below(made, "lstm", "greedy", "forward", "ceae", ["ceae", "vae", "ae"]) == (True, "ceae 10.0, vae 12.0")
    assert below(made, "lstm", "greedy", "reverse", "ceae", ["vae"]) == (None, "ceae 9.0, vae 8.9")     # too close
    assert below(made, "lstm", "greedy", "reverse", "ceae", ["vae", "ae"])[0] is False
    assert below(made, "lstm", "greedy", "forward", "ivae", ["vae"]) is None
    assert below(made, "lstm", "greedy", "forward", "ceae", ["ceae"]) is None


def test_the_first_papers_columns():
    made = board("lstm", "multinomial", {"ceae": (8.0, 9.0), "vae": (9.0, 5.0)}, "recorded, oracle at quick")
    checks = ceae_perplexities(published.rows("ceae", 1), [made])
    assert [check.holds for check in checks] == [None, True, False]
    assert "oracle at quick" in checks[1].shown and "ceae 9.0, vae 5.0" in checks[2].shown
    assert [check.holds for check in ceae_perplexities(published.rows("ceae", 1), [])] == [None, None, None]


def test_the_second_papers_orders():
    numbers = {"vae": (900.0, 800.0), "ivae": (80.0, 300.0), "ivae-mi": (90.0, 350.0)}
    found = clvm_table4(Records(perplexities=[board(CLVM, "greedy", numbers)]))
    assert [check.holds for check in found.checks] == [True, True, False, True, None]
    assert verdict(found.checks, was_run=True) == PARTLY and len(found.experiments) == 3
    assert "ptb at laptop" in found.ours and found.theirs and found.lesson
    nothing = clvm_table4(Records())
    assert nothing.ours == "" and not nothing.experiments and {check.holds for check in nothing.checks} == {None}


def test_an_order_that_is_not_printed_is_refuted(monkeypatch):
    from ceae_core.report.reproduction import generated
    monkeypatch.setattr(generated, "PAIRS_4", (("VAE is below iVAE", generated.FORWARD, "VAE:", "iVAE:"),))
    found = clvm_table4(Records())
    assert [(check.holds, check.shown) for check in found.checks] == [(False, "not even as printed")]


def test_recorded_perplexities_are_read():
    boards = {made.place: made for made in outcome.recorded().perplexities}
    assert set(boards) == {"oracle at quick", "ptb at laptop"}
    for made in boards.values():
        assert made.found.keys() == made.ids.keys()
    penn = clvm_table4(outcome.recorded())
    assert "ptb at laptop" in penn.checks[0].shown and "oracle at quick" in penn.checks[0].shown
    assert all(check.holds is not None for check in penn.checks)
