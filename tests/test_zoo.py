"""Every row of the zoo: it resolves, it trains, its terms move what they should, its sources exist."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ceae_core import corpora, spec
from ceae_core.corpora import Corpus
from ceae_core.errors import CeaeError
from ceae_core.models.autoencoder import NETS
from ceae_core.options import options_of
from ceae_core.report import published
from ceae_core.scales import PAPER_SIZES, SCALES, net_settings
from ceae_core.spec import Settings, resolve
from ceae_core.steps.context import Context, encode_once, encode_twice
from ceae_core.training import Training
from ceae_core.zoo import FAMILIES, family

REPOSITORY = Path(__file__).resolve().parents[1]
# below the KL of an untrained model, so that free bits have a gradient
SMALL_TARGET = {name: {option: 0.001} for name, row in FAMILIES.items() for option in ("target", "dim_target")
                if option in row.defaults()}
# Decoder and encoder from the first step on.
TOGETHER = {name: {"decoder_epochs": 0.0} for name, row in FAMILIES.items() if "decoder_epochs" in row.defaults()}


def test_the_zoo_has_the_first_families():
    assert {"lstm-lm", "ae", "vae", "beta-vae", "cyclic", "fb", "fb-total", "bn-vae", "ceae"} <= FAMILIES.keys()


def test_an_unknown_family_is_refused():
    with pytest.raises(CeaeError, match="no 'bnvae' in the zoo.*bn-vae"):
        family("bnvae")


# resolving -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("corpus", ["oracle", "ptb", "short-yelp", "yahoo"])
def test_every_row_resolves_at_every_scale(corpus: str, oracle_corpus: Corpus, monkeypatch):
    """Sizes: the scale's, else the corpus's, else the defaults; c0 is a number in every spec that has it."""
    monkeypatch.setattr(corpora, "load", lambda name, **given: replace(oracle_corpus, name=name))
    seen = set()
    for name, row in FAMILIES.items():
        for scale_name, scale in SCALES.items():
            made = resolve(name, corpus, scale_name)
            assert made.options.keys() == row.defaults().keys()
            assert made.options.get("c0", 0.5) > 0
            net = row.settings.get("net", "lstm")
            sizes = {"embedding": 512, "hidden": 1024, **PAPER_SIZES.get(corpus, {}), **net_settings(net, corpus),
                     **scale.settings, **scale.nets.get(net, {})}
            assert (made.settings.embedding, made.settings.hidden) == (sizes["embedding"], sizes["hidden"])
            seen.add(made.id)
    assert len(seen) == len(FAMILIES) * len(SCALES)


@pytest.mark.parametrize(("name", "lr"), [("lstm-lm", 1.0), ("vae", 0.5), ("bn-vae", 0.5), ("ceae", 0.1)])
def test_learning_rates_of_the_papers(name: str, lr: float, oracle_corpus: Corpus, monkeypatch):
    monkeypatch.setattr(corpora, "load", lambda *a, **given: oracle_corpus)
    settings = resolve(name, scale="paper").settings
    assert (settings.lr, settings.optimiser, settings.latent, settings.clip) == (lr, "sgd", 32, 5.0)
    assert (settings.patience, settings.first_decay) == ((2, 0) if name == "lstm-lm" else (5, 15))


def test_scales_change_only_what_exists():
    options = {name for row in FAMILIES.values() for name in row.defaults()}
    for scale in SCALES.values():
        assert scale.settings.keys() <= vars(Settings()).keys() and scale.options.keys() <= options
        assert scale.families.keys() <= FAMILIES.keys() and scale.nets.keys() <= set(NETS)
        assert all(change.keys() <= vars(Settings()).keys()
                   for change in (*scale.families.values(), *scale.nets.values()))


@pytest.mark.parametrize("name", ["vae", "ceae", "delta-vae", "lstm-lm"])
def test_a_transformer_brings_its_settings(name: str, oracle_corpus: Corpus, monkeypatch):
    """Over those of the family's row, which are an LSTM's; below `paper` the scale's; and `set` has the last word."""
    monkeypatch.setattr(corpora, "load", lambda corpus, **given: replace(oracle_corpus, name=corpus))
    for corpus, epochs in (("ptb", 125), ("yahoo", 40)):
        settings = resolve(name, corpus, "paper", set={"net": "transformer"}).settings
        assert (settings.embedding, settings.hidden, settings.layers, settings.heads, settings.inner) == (
            380, 380, 6, 10, 900)
        assert (settings.optimiser, settings.lr, settings.decay, settings.lr_end, settings.warmup_steps,
                settings.clip, settings.epochs) == ("adam", 3e-4, "cosine", 1e-4, 3000, 0.25, epochs)
        assert settings.init == "stack" and settings.latent == 32
    short = resolve(name, "oracle", "quick", set={"net": "transformer", "heads": 2}).settings
    assert (short.hidden, short.heads, short.init) == (64, 2, "wide")
    assert resolve(name, "oracle", "quick").settings.net == "lstm"


def test_a_scale_may_shorten_a_single_family():
    """What `quick` says of one family's settings holds for it alone, and the command line has the last word."""
    (name, change), *_ = SCALES["quick"].families.items()
    dear, other = resolve(name).settings, resolve("vae").settings
    assert {key: getattr(dear, key) for key in change} == dict(change)
    assert dear.epochs < other.epochs == SCALES["quick"].settings["epochs"]
    assert dear.schedule_unit / dear.epochs == other.schedule_unit / other.epochs       # as many schedule epochs
    assert resolve(name, set={"epochs": 7}).settings.epochs == 7


@pytest.mark.parametrize("name", FAMILIES)
def test_options_have_one_owner_and_can_all_be_set(name: str):
    row = FAMILIES[name]
    owned = [option for part in row.parts for option in options_of(part)]
    assert len(owned) == len(set(owned)), "two parts declare the same option"
    assert not set(owned) & vars(Settings()).keys(), "an option hides a setting"
    assert set(row.options) <= set(owned) and set(row.settings) <= vars(Settings()).keys()
    plain = resolve(name, scale="smoke")
    for option, value in plain.options.items():
        spelled = "none" if value is None else str(value).lower()
        assert resolve(name, scale="smoke", set={option: spelled}).id == plain.id
    for option, value in row.defaults().items():
        if value is None:
            assert resolve(name, scale="smoke", set={option: "0.25"}).options[option] == 0.25


@pytest.mark.parametrize(("name", "wrong", "right"), [
    ("ceae", "tempreture", "temperature"), ("vae", "warmup_epoch", "warmup_epochs"), ("fb", "targets", "target"),
    ("lstm-lm", "hiden", "hidden")])
def test_a_misspelt_option_is_refused_with_the_nearest(name: str, wrong: str, right: str):
    with pytest.raises(CeaeError, match=f"{name} has no option '{wrong}'; did you mean .*{right}"):
        resolve(name, scale="smoke", set={wrong: 1})


def test_an_option_of_another_family_is_refused():
    with pytest.raises(CeaeError, match="vae has no option 'lambda0'"):
        resolve("vae", scale="smoke", set={"lambda0": 1e-3})


# training --------------------------------------------------------------------------------------------------------

LSTMS_ONLY = ("skip-vae",)                              # by its wiring
EXTRA = {"agg-vae": {"encoder_updates"}}                # what a family's step reports beside rec, loss and its terms


@pytest.mark.parametrize(("name", "net"), [(name, net) for net in NETS for name in FAMILIES
                                            if net == "lstm" or name not in LSTMS_ONLY])
def test_two_steps_train_every_weight(name: str, net: str, smoke: Callable[..., Training]):
    """Those of encoder, posterior and decoder, and of critics where there are some; only BN-VAE's scale is frozen."""
    training = smoke(name, net=net, **TOGETHER.get(name, {}))
    before = {key: value.clone() for key, value in training.model.named_parameters()}
    for _ in range(2):
        training._one_step()
    training._check_finite()
    assert training.totals.keys() == {"rec", "loss", *(t.name for t in training.family.terms), *EXTRA.get(name, ())}
    for key, value in training.model.named_parameters():
        frozen = key == "posterior.norm.batch.weight"
        assert value.requires_grad != frozen and torch.equal(value, before[key]) == frozen, key
    assert (name in ("bn-vae", "optimus-bn-vae")) == ("posterior.norm.batch.weight" in before)
    assert (training.family.critics is not None) == any(key.startswith("critics.") for key in before)


# Which parts of a model each named term moves; all others must get no gradient from it.  Critics judge but do not learn
# from `dual`: it gives them a gradient, which the descent of encoder and decoder leaves out (see below).
ENCODER, POSTERIOR, DECODER, CRITICS = "encoder", "posterior", "decoder", "critics"
MOVES: dict[str, set[str]] = {
    "rec": {ENCODER, POSTERIOR, DECODER},
    "kl": {ENCODER, POSTERIOR},
    "free_bits": {ENCODER, POSTERIOR},
    "entropy": {ENCODER, POSTERIOR},
    "contrast": {ENCODER, POSTERIOR},
    "dual": {ENCODER, POSTERIOR},
    "mmd": {ENCODER, POSTERIOR},
    "code_norm": {ENCODER, POSTERIOR},
    "decoder_norm": {DECODER},
}
ON_H = {name: {"contrast_on": "h"} for name, row in FAMILIES.items() if "contrast_on" in row.defaults()}


def encoded(training: Training) -> Context:
    """The first batch as the family's step encodes it, with a graph."""
    encode = encode_twice if "rec_views" in training.family.defaults() else encode_once
    return encode(training, training.train_set.batch(training.batches[0]), training.clock())


def parts(training: Training) -> dict[str, torch.nn.Module]:
    named = {part: getattr(training.model, part) for part in (ENCODER, POSTERIOR, DECODER, CRITICS)}
    return {part: module for part, module in named.items() if module is not None} | {"terms": training.stateful}


def moved_by(training: Training, value: torch.Tensor) -> dict[str, set[str]]:
    """part -> names of its weights that `value` gives a gradient other than 0."""
    training.model.zero_grad(set_to_none=True)
    value.mean().backward()
    return {part: {name for name, p in module.named_parameters() if p.grad is not None and bool(p.grad.any())}
            for part, module in parts(training).items()}


def check_moves(training: Training, term: str, value: torch.Tensor, expected: set[str]) -> None:
    moved = moved_by(training, value)
    assert torch.isfinite(value).all()
    assert {part for part, names in moved.items() if names and part != CRITICS} == expected, term
    if ENCODER in expected:                                 # no weight of the encoder is out of reach
        assert moved[ENCODER] == {name for name, _ in training.model.encoder.named_parameters()}
    assert bool(moved.get(CRITICS)) == (term == "dual")


@pytest.mark.parametrize("name", FAMILIES)
def test_each_term_moves_what_it_should_and_nothing_else(name: str, smoke: Callable[..., Training]):
    training = smoke(name, **SMALL_TARGET.get(name, {}), **TOGETHER.get(name, {}))
    training.model.train()
    unknown = {term.name for term in training.terms} - MOVES.keys()
    assert not unknown, f"say in MOVES of this test which parts of a model the new terms move: {sorted(unknown)}"
    for _ in range(2):                                      # the second time a contrast has cached batches
        for term in training.terms:
            context = encoded(training)
            value = term.loss(context)
            assert value.shape in ((len(context.x),), ()) and (value.dim() or term.name not in ("kl", "contrast"))
            check_moves(training, term.name, value, MOVES[term.name])


@pytest.mark.parametrize("name", [name for name, row in FAMILIES.items() if row.posterior])
def test_the_reconstruction_moves_every_part(name: str, smoke: Callable[..., Training]):
    training = smoke(name)
    training.model.train()
    context = encoded(training)
    for view in context.views:
        value = training.model.nll(context.x, view.z)
        assert value.shape == (len(context.x),)
        check_moves(training, "rec", value, MOVES["rec"])


@pytest.mark.parametrize("name", ON_H)
def test_a_contrast_on_h_does_not_move_the_posterior(name: str, smoke: Callable[..., Training]):
    training = smoke(name, contrast_on="h")
    training.model.train()
    term = next(term for term in training.terms if term.name == "contrast")
    check_moves(training, "contrast", term.loss(encoded(training)), {ENCODER})


WITH_CRITICS = [name for name, row in FAMILIES.items() if row.critics]


def test_there_are_families_with_critics():
    assert {"ivae", "ivae-mi", "cvae", "cvae-mi", "cvae+", "cvae+-mi"} <= set(WITH_CRITICS)


@pytest.mark.parametrize("name", WITH_CRITICS)
def test_the_critics_loss_moves_critics_only(name: str, smoke: Callable[..., Training]):
    training = smoke(name)
    training.model.train()
    moved = moved_by(training, training.stateful["dual"].critic_loss(encoded(training)))
    assert moved.pop(CRITICS) == {key for key, _ in training.model.critics.named_parameters()}      # f's and g's
    assert not any(moved.values())


@pytest.mark.parametrize("name", WITH_CRITICS)
def test_encoder_and_critics_are_moved_by_steps_of_their_own(name: str, smoke: Callable[..., Training]):
    """The descent of the encoder leaves critics as they are, and each inner update the model."""
    training = smoke(name, inner_updates=0)
    before = copy.deepcopy(training.model.state_dict())
    training._one_step()
    changed = {key for key, value in training.model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if not key.startswith("critics.")}
    training.model.load_state_dict(before)
    training.descend_critics(training.stateful["dual"].critic_loss(encoded(training)))
    changed = {key for key, value in training.model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if key.startswith("critics.")}


@pytest.mark.parametrize("updates", [0, 2, 5])
@pytest.mark.parametrize("name", ["ivae", "cvae+-mi"])
def test_critics_are_updated_as_often_as_the_option_says(name: str, updates: int, smoke, monkeypatch):
    made: list[float] = []
    monkeypatch.setattr(Training, "descend_critics", lambda training, loss: made.append(float(loss.detach())))
    smoke(name, inner_updates=updates)._one_step()
    assert len(made) == updates == len(set(made))           # the same critics, but fresh draws of the prior each time


def test_a_term_is_added_with_its_weight(smoke: Callable[..., Training]):
    for name, weight in (("vae", lambda e: min(1.0, e / 1.6)), ("beta-vae", lambda e: min(0.4, e / 1.6)),
                         ("ceae", lambda e: (1 - 1 / (int(e) + 1)) * 6e-3),
                         ("ivae", lambda e: 0.1 + 0.9 * min(1.0, e / 1.6))):
        training = smoke(name, batch_size=50)
        for _ in range(20):
            elapsed = training.clock().elapsed
            before = {key: value.clone() for key, value in training.totals.items()}
            training._one_step()
            rec, term, loss = (float(training.totals[key] - before.get(key, 0.0))
                               for key in ("rec", training.terms[0].name, "loss"))
            assert loss == pytest.approx(rec + weight(elapsed) * term, rel=1e-5)


def test_all_terms_are_added(smoke: Callable[..., Training]):
    training = smoke("cvae", contrast=0.25)
    training._one_step()
    rec, dual, contrast, loss = (float(training.totals[key]) for key in ("rec", "dual", "contrast", "loss"))
    assert loss == pytest.approx(rec + 0.1 * dual + 0.25 * contrast, rel=1e-5)


def test_a_bound_needs_a_posterior_with_a_density():
    """Rec + KL as it is trained bounds -log p(x) for Gaussians and the sphere, and for a language model."""
    bounded = {name for name, row in FAMILIES.items() if row.is_bounded}
    assert {"lstm-lm", "vae", "bn-vae", "sa-vae", "delta-vae", "vmf-vae", "cvae-gaussian"} <= bounded
    assert not bounded & {"ae", "ceae", "ceae-ln", "ceae-knn", "wae-mmd", "rae", *WITH_CRITICS}


# sources ---------------------------------------------------------------------------------------------------------

def bibliography() -> set[str]:
    return set(re.findall(r"^@\w+\{([^,\s]+),", (REPOSITORY / "book/references.bib").read_text("utf-8"), re.M))


def test_every_row_cites_entries_of_the_bibliography():
    cited = {key for row in FAMILIES.values() for key in row.cite}
    assert len(cited) > 5 and cited <= bibliography()
    assert all(row.cite for row in FAMILIES.values())


def test_citations_in_the_code_are_entries_of_the_bibliography():
    texts = [path.read_text("utf-8") for path in (REPOSITORY / "ceae_core").rglob("*.py")]
    cited = {key for text in texts for key in re.findall(r"\b[a-z]+(?:19|20)\d\d[a-z]*\b", text)}
    assert {"burda2016importance", "zhu2020batch"} <= cited and cited <= bibliography()


# Tables of language models with LSTMs.  Tables 12 and 13 of CEAE give deviations of three rows of its Table 1.
LSTM_TABLES = [("ceae", 1), ("ceae", 3), ("clvm", 1), ("clvm", 2), ("clvm", 3), ("clvm", 4), ("clvm", 7)]
TRANSFORMER_TABLES = [("ceae", 2), ("ceae", 11), ("ceae", "A.5")]
WITH_DEVIATIONS = {"ceae:1:CEAE:", "ceae:1:BN-VAE:gamma=0.7", "ceae:1:delta-VAE:delta=0.1"}


@pytest.mark.parametrize(("paper", "table"), [*LSTM_TABLES, *TRANSFORMER_TABLES])
def test_every_row_of_the_papers_is_made_by_exactly_one_family(paper: str, table: int | str):
    printed = published.rows(paper, table)
    makers = {key: [name for name, row in FAMILIES.items() if key in row.rows] for key in printed}
    assert len(printed) >= 2 and {key: names for key, names in makers.items() if len(names) != 1} == {}


def test_families_claim_only_rows_that_are_printed():
    printed = {key for paper, table in published.tables() for key in published.rows(paper, table)}
    named = {key for row in FAMILIES.values() for key in row.rows}
    assert named <= printed and named >= WITH_DEVIATIONS and len(named) > 50


def test_rows_of_transformers_are_transformers():
    nets = {key: resolve(name, scale="smoke", set=change).settings.net
            for name, row in FAMILIES.items() for key, change in row.rows.items()}
    tables = {net: {key.rsplit(":", 2)[0] for key, its in nets.items() if its == net} for net in NETS}
    assert tables["transformer"] == {"ceae:2", "ceae:11"} and tables["pretrained"] == {"ceae:2", "ceae:A.5"}
    assert tables["lstm"].isdisjoint(tables["transformer"] | tables["pretrained"])
    assert {key for key, net in nets.items() if net == "pretrained"} == {
        key for table in (2, "A.5") for key in published.rows("ceae", table) if "OPTIMUS" in key}


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_of_the_papers_resolve_to_different_runs(name: str):
    """What `--set` turns a family into a row is valid, and two rows of one table are never the same run."""
    for paper, table in {tuple(key.split(":")[:2]) for key in FAMILIES[name].rows}:
        made = [resolve(name, scale="smoke", set=change).id for key, change in FAMILIES[name].rows.items()
                if key.split(":")[:2] == [paper, table]]
        assert len(made) == len(set(made))


def test_values_in_row_names_are_the_values_that_are_set():
    """"beta=0.4" in the name of a row is what it sets, or what its family has anyway."""
    spelled = {"free_bits": "target", "augmentation": "augment", "lambda": "dim_target"}
    checked = 0
    for row in FAMILIES.values():
        for key, change in row.rows.items():
            if "=" in (variant := key.rsplit(":", 1)[1]):
                option, _, value = variant.removesuffix(", OPTIMUS").partition("=")
                made = {**row.defaults(), **change}[spelled.get(option, option)]
                assert made == (value if isinstance(made, str) else float(value)), key
                checked += 1
    assert checked >= 18


def test_the_lists_of_values_name_real_settings_and_options():
    known = vars(Settings()).keys() | {option for row in FAMILIES.values() for option in row.defaults()}
    assert {*spec.CHOICES, *spec.POSITIVE, *spec.NOT_NEGATIVE, *spec.FRACTIONS} <= known
