"""Variants: each found by what it changes and by nothing else, absent ones shown as absent."""

import pytest

from ceae_core.errors import CeaeError
from ceae_core.report import ablations
from ceae_core.spec import resolve

DUAL = "nelbo_dual_nats_per_sentence"


def test_every_variant_is_a_run_of_its_own_and_the_first_is_the_default():
    for name, variants in ablations.CHOICES.items():
        specs = [resolve(v.family, scale="smoke", set=v.changes) for v in variants]
        assert len({s.id for s in specs}) == len(specs) >= 2 and not variants[0].changes
        assert len({(v.choice, v.value) for v in variants}) == len(variants)
        assert ablations.specs([name], scale="smoke") == specs


def test_specs_of_several_choices_share_their_defaults():
    specs = ablations.specs(["rec_views", "contrast_temperature"], scale="smoke", seed=3)
    assert [(s.family, s.options["rec_views"], s.options["contrast_temperature"], s.seed) for s in specs] == [
        ("cvae", 2, 0.05, 3), ("cvae", 1, 0.05, 3), ("cvae", 2, 0.5, 3)]
    with pytest.raises(CeaeError, match="choices: there is no 'colour'.*rec_views"):
        ablations.specs(["colour"])


def test_a_variant_finds_its_runs_only(result):
    default, mlp = result("ivae-mi"), result("ivae-mi", options={"noise_head": "mlp"}, kl_exact_nats=None)
    both = result("ivae-mi", options={"noise_head": "mlp", "encoder_sign": "adversarial"})
    linear, changed = ablations.CHOICES["noise_head"]
    assert linear.find([default, mlp, both]) == [default] and changed.find([default, mlp, both]) == [mlp]
    assert ablations.CHOICES["posterior"][1].find([default, result("cvae-gaussian")])[0].family == "cvae-gaussian"


def test_the_table_shows_every_variant(result):
    built = [result("cvae", **{DUAL: 8.0}), result("cvae", options={"rec_views": 1}, **{DUAL: 9.0}),
             result("ivae-mi", options={"noise_head": "mlp"}, kl_exact_nats=None)]
    rows = {(row["choice"], row["value"]): row for row in ablations.choices(built, "not built", "c", "n").rows}
    assert len(rows) == sum(map(len, ablations.CHOICES.values()))
    assert rows["views that are reconstructed", "both"]["−ELBO, dual (nats)"].value == 8.0
    assert rows["views that are reconstructed", "the first"]["−ELBO, dual (nats)"].value == 9.0
    assert rows["head that takes the noise", "MLP"]["KL, exact (nats)"].value is None
    assert rows["head that takes the noise", "MLP"]["KL, exact (nats)"].text == ""
    assert ablations.are_varied(built) and not ablations.are_varied(built[:1])
    absent = rows["posterior", "Gaussian"]
    assert absent["−ELBO, dual (nats)"].text == "not built" and absent["run"].value is None


def test_dropout_curves_hold_what_differs_in_dropout_alone(result):
    runs = [result("cvae+-mi", settings={"encoder_dropout": rate}, **{DUAL: value})
            for rate, value in ((0.6, 3.0), (0.1, 1.0))]
    runs += [result("cvae+-mi", seed=2, settings={"encoder_dropout": 0.1}, **{DUAL: 2.0}),
             result("cvae+-mi", options={"augment": "swap"}, **{DUAL: 50.0}), result("cvae+", **{DUAL: 60.0}),
             result("cvae+-mi", status="diverged")]
    assert ablations.by_dropout(runs, "cvae+-mi", DUAL) == {0.1: 1.5, 0.6: 3.0}
    panels = ablations.dropout_panels({"oracle": runs, "PTB": []}, "cvae+-mi")
    assert [panel.title for panel in panels] == ["−ELBO, dual (nats), oracle", "IW bound (nats), oracle"]
    assert (panels[0].lines[0].x, panels[0].lines[0].y) == ([0.1, 0.6], [1.5, 3.0])
