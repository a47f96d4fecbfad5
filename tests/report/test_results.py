"""Runs as results: their names, which published row they are, which specs a published table asks for."""

from dataclasses import replace

import pytest

from ceae_core import scales, zoo
from ceae_core.errors import CeaeError
from ceae_core.execute import ensure
from ceae_core.report import published, recorded, results
from ceae_core.report.results import largest, matching, obtain, row_specs, zoo_row
from ceae_core.runs import Store
from ceae_core.spec import resolve


def test_names_follow_the_papers(result):
    assert result("bn-vae").name == "bn-vae (0.7)" and result("vae").name == "vae"
    assert result("fb", options={"target": 5.0}).name == "fb (5)"
    assert result("delta-vae").name == "delta-vae (0.1)" and result("vmf-vae").name == "vmf-vae (13)"


@pytest.mark.parametrize(("family", "given", "name"), [
    ("vae", {"settings": {"stack": "ivae"}}, "vae (stack ivae)"),
    ("beta-vae", {"options": {"beta": 0.5}, "settings": {"stack": "ivae"}}, "beta-vae (0.5, stack ivae)"),
    ("cvae", {"options": {"contrast_on": "h"}}, "cvae (contrast on h)"),
    ("cvae", {"options": {"noise_head": "mlp", "rec_views": 1}}, "cvae (noise head mlp, rec views 1)"),
    ("cvae", {"options": {"contrast_temperature": 0.5}}, "cvae (contrast temperature 0.5)"),
    ("cvae+-mi", {"options": {"augment": "swap"}}, "cvae+-mi (augment swap)"),
    ("cvae+", {"options": {"encoder_sign": "adversarial"}}, "cvae+ (encoder sign adversarial)"),
    ("cvae+-mi", {"settings": {"encoder_dropout": 0.6}}, "cvae+-mi (encoder dropout 0.6)"),
    ("vae", {"settings": {"skip": True}}, "vae (skip)"),
    ("cvae+-mi", {}, "cvae+-mi"), ("skip-vae", {}, "skip-vae")])
def test_names_tell_variants_apart(result, family, given, name):
    assert result(family, **given).name == name


def test_rows_are_found_by_family_options_and_settings(result):
    runs = [result("bn-vae", options={"gamma": 0.6}), result("bn-vae"), result("ceae"),
            result("ceae", options={"temperature": 0.5}), result("vae"),
            result("vae", options={"kl_start": 0.1}, settings={"stack": "ivae"}),
            result("vae", settings={"stack": "ivae"})]
    assert matching("ceae:1:BN-VAE:gamma=0.6", runs) == [runs[0]]
    assert matching("ceae:1:BN-VAE:gamma=0.7", runs) == [runs[1]]
    assert matching("ceae:1:CEAE:", runs) == [runs[2]]                  # another temperature is another model
    assert matching("ceae:1:VAE:", runs) == [runs[4]]
    assert matching("clvm:1:VAE:", runs) == [runs[5]]                   # the other stack, and its annealing
    assert matching("ceae:1:SA-VAE:", runs) == []


def test_a_scale_shortens_the_schedules_of_a_row_too(row_of, result):
    """Ten epochs per cycle are the row's at the papers' scale; a training of eight has the cycles of its scale."""
    key = "clvm:1:CycVAE:"
    assert zoo_row(key)[1]["cycle_epochs"] == 10 and scales.SCALES["quick"].options["cycle_epochs"] == 4
    quick, paper = row_of(key), row_of(key, size="paper")
    assert (quick.options["cycle_epochs"], paper.options["cycle_epochs"]) == (4, 10)
    assert matching(key, [quick, paper]) == [quick, paper]
    assert not matching(key, [replace(quick, options={**quick.options, "cycle_epochs": 10.0})])


def test_the_largest_scale_of_a_group_counts(result):
    laptop, paper = result(size="laptop"), result(size="paper")
    assert largest([laptop, paper]) == [paper] and largest([laptop]) == [laptop] and largest([]) == []


def test_the_runs_behind_a_table(row_of, result):
    iva, paper = (row_of("clvm:1:iVAE:", corpus="ptb", size=size) for size in ("laptop", "paper"))
    vae, cvae = row_of("clvm:1:VAE:", corpus="ptb", size="laptop"), row_of("clvm:3:cVAE:contrast_on=z")
    given = [cvae, iva, paper, vae, result("ceae"), result("vae")]
    assert results.behind("clvm", 1, given) == [vae, paper, cvae]
    assert results.behind("clvm", 3, given) == [cvae]


def test_a_table_asks_for_each_run_once():
    specs = row_specs("clvm", 3, "oracle", "smoke", [1, 2])
    assert [(s.family, s.options["contrast_on"], s.seed) for s in specs] == [
        (family, on, seed) for on in "hz" for family in ("cvae", "cvae-mi") for seed in (1, 2)]
    cyclic, = (s for s in row_specs("clvm", 1, "oracle", "smoke", [1]) if s.family == "cyclic")
    assert cyclic.settings.stack == "ivae" and cyclic.options["cycle_epochs"] == 4
    assert len({s.id for t in (1, 3, 7) for s in row_specs("clvm", t, "oracle", "smoke", [1])}) == 10 + 2 + 1


def test_every_row_that_the_zoo_has_is_matched_by_its_own_run(row_of):
    for paper, table in (("ceae", 1), ("clvm", 1), ("clvm", 3), ("clvm", 7)):
        keys = [key for key in published.rows(paper, table) if zoo_row(key)]
        runs = {key: row_of(key) for key in keys}
        for key in keys:
            assert matching(key, runs.values()) == [r for r in runs.values() if r.id == runs[key].id]


def test_estimates_by_critics_and_exact_values_go_by_one_name_each(result):
    gaussian, implicit = result("vae"), result("ivae")
    assert gaussian.metric("kl_exact_nats") == gaussian.metrics["kl_nats"] == 2.0
    assert gaussian.metric("mi_exact_nats") == 1.5 and gaussian.metric("ppl_exact_word") == 3.0
    assert all(gaussian.metric(key) is None for key in results.DUAL)
    assert [implicit.metric(f"kl_{kind}nats") for kind in ("exact_", "dual_", "")] == [5.0, 1.0, None]
    del implicit.metrics["kl_dual_nats"]
    with pytest.raises(CeaeError, match="has no measure kl_dual_nats"):
        implicit.metric("kl_dual_nats")


def test_a_setting_that_an_older_record_lacks_has_its_default(result):
    old = replace(result("vae"), settings={})
    assert old.is_row("vae", {}) and old.name == "vae" and not old.is_row("vae", zoo.PAPER_B)


def test_own_runs_count_before_recorded_ones_and_only_the_rest_is_trained(tmp_path, monkeypatch):
    """A recorded number is recognised by a mark; nothing of what is known is trained a second time."""
    first, second, third = (resolve("lstm-lm", "oracle", "smoke", seed) for seed in (1, 2, 3))
    away, own, folder = Store(tmp_path / "away"), Store(tmp_path / "own"), tmp_path / "results"
    monkeypatch.setattr(recorded, "RESULTS", folder)
    for run in ensure([first, second], away, device="cpu"):
        path = recorded.record(run, folder)
        path.write_text(path.read_text().replace('"train_seconds": ', '"train_seconds": 1234'))
    monkeypatch.setattr(recorded, "load", lambda place, load=recorded.load: load(place, results=folder))
    ensure([second], own, device="cpu")
    trained = []
    monkeypatch.setattr(results, "ensure", lambda specs, *a, **k: trained.extend(specs) or ensure(specs, *a, **k))
    found = obtain([third, first, second], store=own, device="cpu")
    assert [r.seed for r in found] == [3, 1, 2] and [r.seconds > 1000.0 for r in found] == [False, True, False]
    assert trained == [third, second]
    monkeypatch.setattr(results, "MEASURES_VERSION", results.MEASURES_VERSION + 1)
    assert obtain([first], store=own, device="cpu")[0].seconds < 1000.0


def test_retraining_ignores_what_is_recorded(tmp_path, monkeypatch):
    spec = resolve("lstm-lm", "oracle", "smoke", 1)
    asked = []
    monkeypatch.setattr(results, "ensure", lambda specs, *a, **k: asked.extend(specs) or [])
    monkeypatch.setattr(recorded, "load", lambda place: pytest.fail("recordings were read"))
    with pytest.raises(KeyError):
        obtain([spec], retrain=True, store=Store(tmp_path))
    assert asked == [spec]


def test_corpora_with_recorded_runs(tmp_path):
    """Experiments lie beside them and are no runs; a copy of the package without results has none."""
    assert recorded.corpora(tmp_path / "absent") == []
    for place in ("ptb", "oracle", "experiments"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "one.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    assert recorded.corpora(tmp_path) == ["oracle", "ptb"]
