"""The identity of a run: what changes it, what does not, and that bad values never become one."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ceae_core.errors import CeaeError
from ceae_core.options import options_of
from ceae_core.spec import CHOICES, NUMERICS, RunSpec, Settings, parse, resolve
from ceae_core.zoo import FAMILIES

# Ids leave out what has its default, so a default is part of the numerics: these are the ones of NUMERICS = 1.
PINNED_FOR = 1
PINNED: dict[str, Any] = {
    "Settings.stack": "bn", "Settings.embedding": 512, "Settings.hidden": 1024, "Settings.latent": 32,
    "Settings.skip": False, "Settings.encoder_dropout": 0.0, "Settings.dropout_in": 0.5, "Settings.dropout_out": 0.5,
    "Settings.init": "stack", "Settings.optimiser": "sgd", "Settings.lr": 0.5, "Settings.decay": "plateau",
    "Settings.patience": 5, "Settings.first_decay": 15, "Settings.max_decays": 5, "Settings.clip": 5.0,
    "Settings.batch_size": 32, "Settings.batching": "same_length", "Settings.epochs": 100,
    "Settings.schedule_unit": 1.0, "Settings.precision": "auto", "Settings.threads": 1, "Settings.iw_samples": 500,
    "Settings.iw_sentences": 500, "Settings.vocabulary": "bn", "Settings.clip_scope": "joint",
    "Settings.iw_refine": 0, "Settings.net": "lstm", "Settings.layers": 6, "Settings.heads": 10, "Settings.inner": 900,
    "Settings.dropout_layer": 0.0, "Settings.warmup_steps": 0, "Settings.lr_end": 0.0,
    "Gaussian.norm": "none", "Gaussian.gamma": None, "Gaussian.learn_shift": True,
    "Deterministic.norm": "none", "Deterministic.global_every": 5,
    "decaying_noise.c0": None, "decaying_noise.t_max": 10, "entropy_weight.lambda0": 6e-3,
    "MomentumContrast.momentum": 0.99, "MomentumContrast.cached_batches": 3, "MomentumContrast.temperature": 1.0,
    "MomentumContrast.normalise": False, "MomentumContrast.include_positive": False,
    "MomentumContrast.reduction": "mean",
    "free_bits.target": 4.0, "free_bits.unit": "dim",
    "warmup.kl_start": 0.0, "warmup.warmup_epochs": 10.0,
    "capped_warmup.beta": 0.4, "capped_warmup.kl_start": 0.0, "capped_warmup.warmup_epochs": 10.0,
    "cyclical.kl_start": 0.0, "cyclical.cycle_epochs": 20.0, "cyclical.ramp_fraction": 0.5,
    "CommittedGaussian.delta": 0.1, "Spherical.kappa": 13.0, "FittedPrior.components": 10,
    "MMD.bandwidth": 1.0, "NearestNeighbourEntropy.neighbours": 1,
    "NearestNeighbourEntropy.nearest": 1e-6,
    "mmd_weight.mmd": 10.0, "code_weight.code_norm": 1e-4, "decay_weight.decoder_norm": 1e-7,
    "Gaussian.norm_eps": 1e-5, "Deterministic.norm_eps": 1e-5,
    "Refinement.svi_steps": 20, "Refinement.svi_lr": 1.0, "Refinement.svi_momentum": 0.5, "Refinement.svi_clip": 5.0,
    "Settings.encoder": "minilm", "Settings.decoder": "scratch", "Settings.tuned": 0,
    "decoder_first.decoder_epochs": 1.0, "kl_threshold.dim_target": 0.05,
    "aggressive.max_inner": 99, "aggressive.check_every": 15,
    "warmup_after_pretraining.pretrain_epochs": 30.0, "warmup_after_pretraining.kl_start": 0.0,
    "warmup_after_pretraining.warmup_epochs": 10.0,
    "Implicit.noise_head": "linear", "Implicit.noise_size": 0,
    "Critics.critic_hidden": 512, "Critics.critic_layers": 3, "Critics.critic_lr": 1e-5,
    "Dual.mi": False, "Dual.circle": False, "Dual.encoder_sign": "paper", "Dual.square_weight": 1.0,
    "Dual.clamp_exp": 30.0,
    "adversarial.inner_updates": 5, "adversarial_two_views.inner_updates": 5, "adversarial_two_views.rec_views": 2,
    "adversarial_two_views.augment": "dropout", "adversarial_two_views.swap_probability": 0.1,
    "joint_two_views.rec_views": 2, "joint_two_views.augment": "dropout", "joint_two_views.swap_probability": 0.1,
    "contrast_weight.contrast": 1.0, "view_contrast.contrast_on": "z", "view_contrast.contrast_temperature": 0.05,
}


def made(family: str = "ceae", **changes: Any) -> RunSpec:
    """A spec that needs no corpus."""
    options = {**FAMILIES[family].defaults(), **({"c0": 0.7} if "c0" in FAMILIES[family].defaults() else {})}
    content = {"family": family, "corpus": "text", "corpus_sha256": "0" * 64, "scale": "smoke", "seed": 1,
               "settings": Settings(precision="fp32"), "options": options, "source": {"corpus": "text.txt"}}
    return RunSpec(**content | changes)


def changed(value: Any, name: str) -> Any:
    """Another valid value for a setting or an option."""
    if name in CHOICES:
        return next(choice for choice in CHOICES[name] if choice != value)
    if value is None:
        return 0.5
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1 if isinstance(value, int) else value / 2 + 0.01


# what the defaults are ----------------------------------------------------------------------------------------------

def test_defaults_change_only_together_with_numerics():
    parts = {part.__name__: part for row in FAMILIES.values() for part in row.parts}
    now = {f"Settings.{name}": value for name, value in asdict(Settings()).items()}
    now |= {f"{name}.{option}": value for name, part in parts.items() for option, value in options_of(part).items()}
    moved = {name: value for name, value in PINNED.items() if name not in now or now[name] != value}
    assert NUMERICS == PINNED_FOR, "NUMERICS was raised: bring PINNED and PINNED_FOR up to date"
    assert not moved, (f"defaults changed: {sorted(moved)}. Ids leave out defaults, so old runs would pass for new "
                       "ones: raise NUMERICS in ceae_core/spec.py, then pin the new values here")
    assert not now.keys() - PINNED.keys(), (
        f"new defaults: {sorted(now.keys() - PINNED.keys())}. Pin them here; if a default is not what was done before "
        "it existed, raise NUMERICS too")


def test_the_id_of_a_fixed_spec():
    """A changed id orphans every run that anybody has."""
    message = "the canonical form changed: raise NUMERICS if that was meant, then pin the new id"
    assert made("vae").id == "vae-text-smoke-s1-fa48e276a3c2", message
    assert made("ceae").id == "ceae-text-smoke-s1-fdc9db0d4856", message


# what changes an id -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [f.name for f in fields(Settings)])
def test_every_setting_changes_the_id(name: str):
    spec = made()
    value = changed(getattr(spec.settings, name), name)
    assert replace(spec, settings=replace(spec.settings, **{name: value})).id != spec.id


@pytest.mark.parametrize(("family", "option"), [(f, o) for f, row in FAMILIES.items() for o in row.defaults()])
def test_every_option_changes_the_id(family: str, option: str):
    spec = made(family)
    assert replace(spec, options={**spec.options, option: changed(spec.options[option], option)}).id != spec.id


@pytest.mark.parametrize(("field", "value"), [
    ("family", "ae"), ("corpus", "other"), ("corpus_sha256", "1" * 64), ("scale", "quick"), ("seed", 2),
    ("numerics", NUMERICS + 1)])
def test_every_field_changes_the_id(field: str, value: Any):
    assert replace(made(), **{field: value}).id.rsplit("-", 1)[1] != made().id.rsplit("-", 1)[1]


def test_where_the_corpus_lies_does_not_change_the_id():
    assert made(source={"corpus": "/elsewhere/text.txt", "data": "/data"}).id == made().id
    assert made(source={}) == made()


def test_the_order_of_options_does_not_change_the_id():
    spec = made()
    assert replace(spec, options=dict(reversed(spec.options.items()))).id == spec.id


@pytest.mark.parametrize("family", FAMILIES)
def test_an_option_at_its_default_is_as_if_it_did_not_exist(family: str):
    """So an option that is added later, with the old behaviour as its default, leaves old ids alone."""
    spec, defaults = made(family), FAMILIES[family].signature_defaults()
    bare = {name: value for name, value in spec.options.items() if value != defaults[name]}
    assert len(bare) < len(spec.options) or not spec.options
    assert replace(spec, options=bare).id == spec.id
    assert json.loads(spec.canonical())["settings"] == {"precision": "fp32"}


def test_a_familys_own_choice_is_part_of_the_id():
    """BN-VAE's gamma = 0.7 is its row's choice, not the default of the signature, which is none."""
    assert json.loads(made("bn-vae").canonical())["options"] == {"gamma": 0.7, "norm": "batch"}


def test_ids_are_readable_and_fit_a_folder_name():
    spec = made(corpus="My Text (2nd)!" + "x" * 100)
    assert spec.id.startswith("ceae-my-text-2nd-x") and len(spec.id) < 80 and "/" not in spec.id
    assert made(corpus="///").id.startswith("ceae-text-smoke-s1-")


# round trips --------------------------------------------------------------------------------------------------------

values = {"latent": st.integers(1, 64), "epochs": st.integers(1, 200), "lr": st.floats(1e-6, 10.0),
          "dropout_in": st.floats(0.0, 1.0), "skip": st.booleans(), "clip": st.floats(0.1, 100.0),
          "stack": st.sampled_from(CHOICES["stack"]), "batching": st.sampled_from(CHOICES["batching"])}
some_settings = st.fixed_dictionaries({}, optional=values)
some_options = st.fixed_dictionaries({}, optional={
    "momentum": st.floats(0.0, 1.0), "lambda0": st.floats(-1.0, 1.0), "t_max": st.integers(0, 99),
    "normalise": st.booleans(), "cached_batches": st.integers(0, 9), "c0": st.floats(0.0, 9.0)})
specs = st.builds(lambda s, o, seed: made(settings=Settings(**s), options={**made().options, **o}, seed=seed),
                  some_settings, some_options, st.integers(0, 2 ** 40))


@given(specs)
@settings(max_examples=60, deadline=None)
def test_json_and_back(spec: RunSpec):
    again = RunSpec.from_json(spec.to_json())
    assert again == spec and again.id == spec.id and dict(again.source) == dict(spec.source)
    assert again.to_json() == spec.to_json()


@given(specs, specs)
@settings(max_examples=60, deadline=None)
def test_ids_are_equal_exactly_when_specs_are(a: RunSpec, b: RunSpec):
    assert (a.id == b.id) == (a.identity() == b.identity())


@given(some_settings, some_options)
@settings(max_examples=30, deadline=None)
def test_the_command_line_and_python_mean_the_same(a: dict, b: dict):
    """`--set` gives text; Python gives numbers."""
    chosen = a | b
    spelled = {name: str(value) for name, value in chosen.items()}
    direct, typed = resolve("ceae", scale="smoke", set=chosen), resolve("ceae", scale="smoke", set=spelled)
    assert direct.id == typed.id and direct == typed
    for name, value in chosen.items():
        assert {**asdict(direct.settings), **direct.options}[name] == value


def test_what_is_resolved_is_complete():
    spec = resolve("ceae", scale="smoke")
    assert spec.settings.precision in ("fp32", "bf16") and spec.options["c0"] > 0
    assert spec.options["t_max"] == 4 and spec.settings.schedule_unit == 0.25
    assert resolve("ceae", scale="smoke", set={"c0": "auto"}).id == spec.id
    assert resolve("ceae", scale="smoke", set={"c0": spec.options["c0"]}).id == spec.id
    assert resolve("bn-vae", scale="smoke", set={"gamma": "none"}).options["gamma"] is None


# bad values ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("family", "name", "value"), [
    ("vae", "epochs", 0), ("vae", "epochs", "2.5"), ("vae", "epochs", "many"), ("vae", "epochs", None),
    ("vae", "epochs", "inf"), ("vae", "lr", "nan"), ("vae", "lr", "inf"), ("vae", "lr", -1), ("vae", "lr", ""),
    ("vae", "latent", "-3"), ("vae", "dropout_in", 1.5), ("vae", "dropout_out", -0.1), ("vae", "encoder_dropout", 2),
    ("vae", "skip", "maybe"), ("vae", "stack", "gru"), ("vae", "stack", None), ("vae", "batching", "sorted"),
    ("vae", "precision", "fp16"), ("vae", "optimiser", "rmsprop"), ("vae", "decay", "sqrt"), ("vae", "init", "zero"),
    ("vae", "vocabulary", "spm"), ("vae", "patience", -1), ("vae", "gamma", "wide"), ("bn-vae", "learn_shift", 2),
    ("cyclic", "cycle_epochs", 0), ("cyclic", "ramp_fraction", 0), ("ceae", "temperature", 0),
    ("ceae", "momentum", 1.01), ("ceae", "momentum", -0.5), ("ceae", "cached_batches", -1), ("ceae", "t_max", 2.5),
    ("ceae", "global_every", -5), ("ceae", "lambda0", "none"), ("delta-vae", "delta", 0), ("vmf-vae", "kappa", -1),
    ("wae-mmd", "mmd", -1), ("wae-mmd", "bandwidth", 0), ("rae", "components", 0), ("rae", "components", 2.5),
    ("rae", "code_norm", -1e-4), ("rae", "decoder_norm", "-1"), ("ceae-knn", "neighbours", 0),
    ("ceae-knn", "nearest", -1e-6),
    ("sa-vae", "svi_steps", -1), ("sa-vae", "svi_lr", 0), ("sa-vae", "svi_momentum", 1.5), ("sa-vae", "svi_clip", 0),
    ("agg-vae", "max_inner", -1), ("agg-vae", "check_every", 0), ("ae+fb", "pretrain_epochs", -1),
    ("ivae", "noise_head", "flow"), ("ivae", "noise_size", -1), ("ivae", "critic_lr", 0), ("ivae", "clamp_exp", 0),
    ("ivae", "inner_updates", -1), ("ivae", "kl_start", 1.1), ("cvae", "contrast_on", "mu"), ("cvae", "contrast", -1),
    ("cvae", "contrast_temperature", 0), ("cvae", "augment", "noise"), ("cvae", "swap_probability", 2),
    ("cvae", "rec_views", 3), ("cvae+", "encoder_sign", "plus"), ("cvae+", "square_weight", -1),
    ("vae", "clip_scope", "none"), ("vae", "net", "gru"), ("vae", "layers", 0), ("vae", "heads", 2.5),
    ("vae", "inner", -1), ("vae", "dropout_layer", 1.1), ("vae", "warmup_steps", -1), ("vae", "lr_end", -0.1)])
def test_bad_values_are_refused_by_name(family: str, name: str, value: Any):
    with pytest.raises(CeaeError, match=f"^{name}: "):
        resolve(family, scale="smoke", set={name: value})


@pytest.mark.parametrize("broken", [
    "", "[]", "{}", "null", "3", '"text"', '{"settings": {}}', '{"settings": []}',
    lambda c: {**c, "colour": 1}, lambda c: {k: v for k, v in c.items() if k != "seed"},
    lambda c: {**c, "settings": {**c["settings"], "colour": 1}}, lambda c: {**c, "settings": {"epochs": "x"}},
    lambda c: {**c, "settings": {"lr": -1.0}}, lambda c: {**c, "options": {"momentum": 7}},
    lambda c: {**c, "options": [1]}])
def test_a_broken_file_is_refused(broken: Any):
    text = broken if isinstance(broken, str) else json.dumps(broken(json.loads(made().to_json())))
    with pytest.raises(CeaeError):
        RunSpec.from_json(text)


@given(st.text(max_size=12), st.sampled_from([1, 0.5, True, None]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_parsing_gives_the_type_of_the_default_or_an_error(text: str, default: Any, nullable: bool):
    try:
        value = parse("name", text, default, nullable=nullable)
    except CeaeError as error:
        assert str(error).startswith("name: ")
    else:
        assert (value is None and nullable) or type(value) is (float if default is None else type(default))


def test_a_corpus_that_changed_is_refused():
    spec = resolve("vae", scale="smoke")
    assert spec.load_corpus().sha256 == spec.corpus_sha256
    with pytest.raises(CeaeError, match="content has changed"):
        replace(spec, corpus_sha256="0" * 64).load_corpus()
