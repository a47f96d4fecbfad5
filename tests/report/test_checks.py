"""The arithmetic of published tables: intervals hold what rounding hides, impossible numbers are named."""

import math

import numpy as np
import pytest

from ceae_core.report import checks


@pytest.mark.parametrize("tokens", [9.5, 21.917, 96.66])
def test_a_rounded_pair_implies_the_length_that_made_it(tokens):
    for nelbo in np.random.default_rng(0).uniform(60, 400, 50):
        span = checks.implied_tokens(round(nelbo, 1), round(math.exp(nelbo / tokens), 2))
        assert tokens in span
        assert span.high / span.low < 1 + 0.2 / nelbo + 0.02                # and little else
        assert tokens not in checks.implied_tokens(round(nelbo, 1) + 1.5, round(math.exp(nelbo / tokens), 2))


def test_one_row_of_table_1_does_not_fit(result):
    counted = checks.counted_tokens([result("vae", corpus="ptb", size="laptop", tokens_per_sentence=82_430 / 3_761)])
    assert counted == {"PTB": pytest.approx(21.917, abs=5e-4)}
    rows = {row["model"]: row for row in checks.arithmetic(1, counted, "n").rows}
    assert [model for model, row in rows.items() if row["PPL fits"] == "no"] == ["VAE"]
    impossible = {model: row["MI at most log N"].text for model, row in rows.items()
                  if row["MI at most log N"].value == "no"}
    assert list(impossible) == ["iVAE_MI", "cVAE_MI", "cVAE+_MI"]
    assert impossible["cVAE+_MI"] == "no, above 8.23 (test)" and "10.65 (train)" in impossible["cVAE_MI"]


def test_without_a_count_rows_are_held_against_each_other(monkeypatch):
    rows = checks.arithmetic(2, {}, "n").rows
    assert len(rows) == 14 and all(row["PPL fits"] == "yes" for row in rows)
    assert {row["corpus"] for row in rows} == {"Yahoo", "Yelp"}
    assert "corpus" not in checks.arithmetic(1, {}, "n").columns
    assert rows[0]["tokens per sentence | counted"].value is None
    real = checks.published.cell

    def misprinted(row, dataset, metric):
        found = real(row, dataset, metric)
        wrong = (row, dataset, metric) == ("clvm:2:iVAE:", "Yahoo", "PPL")
        return found._replace(value=found.value + 1) if wrong else found
    monkeypatch.setattr(checks.published, "cell", misprinted)
    verdicts = {(row["corpus"], row["model"]): row["PPL fits"] for row in checks.arithmetic(2, {}, "n").rows}
    assert verdicts["Yahoo", "iVAE"] == "no" and verdicts["Yelp", "iVAE"] == "yes"


def test_a_corpus_without_recorded_runs_is_not_counted(result):
    assert checks.counted_tokens([result("vae")]) == {}                 # the oracle corpus is in no published table


def test_commands_are_those_of_the_zoo():
    rows = {row["model"]: row["command"] for row in checks.commands(2, "Yahoo", "n").rows}
    assert rows["cVAE+_MI"] == "ceae train cvae+-mi --corpus yahoo --scale paper"
    assert rows["betaVAE (beta 0.4)"].endswith("--set stack=ivae --set kl_start=0.1 --set beta=0.4")
