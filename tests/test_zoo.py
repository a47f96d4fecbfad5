"""Every row of the zoo: it resolves, it trains, its terms move what they should, its sources exist."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ceae_core import corpora, spec
from ceae_core.corpora import Corpus
from ceae_core.errors import CeaeError
from ceae_core.models.posteriors import Deterministic
from ceae_core.options import options_of
from ceae_core.scales import PAPER_SIZES, SCALES
from ceae_core.spec import Settings, resolve
from ceae_core.steps import Context
from ceae_core.training import Training
from ceae_core.zoo import FAMILIES, family

REPOSITORY = Path(__file__).resolve().parents[1]
PUBLISHED = REPOSITORY / "ceae_core" / "report" / "published"
WITH_TERMS = [name for name, row in FAMILIES.items() if row.terms]
SMALL_TARGET = {"fb": {"target": 0.01}, "fb-total": {"target": 0.01}}     # below the KL of an untrained model


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
            sizes = {"embedding": 512, "hidden": 1024} | PAPER_SIZES.get(corpus, {}) | dict(scale.settings)
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

@pytest.mark.parametrize("name", FAMILIES)
def test_two_steps_train_every_weight(name: str, smoke: Callable[..., Training]):
    training = smoke(name)
    before = {key: value.clone() for key, value in training.model.named_parameters()}
    for _ in range(2):
        training._one_step()
    training._check_finite()
    assert training.totals.keys() == {"rec", "loss", *(term.name for term in training.family.terms)}
    for key, value in training.model.named_parameters():
        frozen = key == "posterior.norm.batch.weight"
        assert value.requires_grad != frozen and torch.equal(value, before[key]) == frozen, key
    assert (name == "bn-vae") == ("posterior.norm.batch.weight" in before)


def gradients(training: Training, value: torch.Tensor) -> dict[str, float]:
    """Sum of the absolute gradient of each part of the model and of the modules that belong to terms."""
    model = training.model
    model.zero_grad(set_to_none=True)
    value.backward()
    parts = {"encoder": model.encoder, "posterior": model.posterior, "decoder": model.decoder,
             "terms": training.stateful}
    return {part: sum(float(p.grad.abs().sum()) for p in module.parameters() if p.grad is not None)
            for part, module in parts.items()}


@pytest.mark.parametrize("name", WITH_TERMS)
def test_terms_move_the_encoder_and_nothing_else(name: str, smoke: Callable[..., Training]):
    training = smoke(name, **SMALL_TARGET.get(name, {}))
    model = training.model.train()
    for _ in range(2):          # the second time a contrast has cached batches
        for term in training.terms:
            x = training.train_set.batch(training.batches[0])
            latent = model.encode(x, training.clock())
            value = term.loss(Context(model, x, latent, training.clock(), training.autocast))
            assert value.shape == (len(x),) and torch.isfinite(value).all()
            moved = gradients(training, value.mean())
            assert moved["encoder"] > 0 and moved["posterior"] > 0
            assert moved["decoder"] == 0 and moved["terms"] == 0
            for p in model.encoder.parameters():
                assert float(p.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", [name for name, row in FAMILIES.items() if row.posterior])
def test_the_reconstruction_moves_every_part(name: str, smoke: Callable[..., Training]):
    training = smoke(name)
    x = training.train_set.batch(training.batches[0])
    nll = training.model.train().nll(x, training.model.encode(x, training.clock()).z)
    moved = gradients(training, nll.mean())
    assert moved["encoder"] > 0 and moved["posterior"] > 0 and moved["decoder"] > 0 and moved["terms"] == 0


def test_a_term_is_added_with_its_weight(smoke: Callable[..., Training]):
    for name, weight in (("vae", lambda e: min(1.0, e / 1.6)), ("beta-vae", lambda e: min(0.4, e / 1.6)),
                         ("ceae", lambda e: (1 - 1 / (int(e) + 1)) * 6e-3)):
        training = smoke(name, batch_size=50)
        for _ in range(20):
            elapsed = training.clock().elapsed
            before = {key: value.clone() for key, value in training.totals.items()}
            training._one_step()
            rec, term, loss = (float(training.totals[key] - before.get(key, 0.0))
                               for key in ("rec", training.terms[0].name, "loss"))
            assert loss == pytest.approx(rec + weight(elapsed) * term, rel=1e-5)


def test_only_deterministic_codes_have_no_bound():
    for name, row in FAMILIES.items():
        assert row.is_bounded == (row.posterior is not Deterministic) == (name not in ("ae", "ceae"))


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


def test_rows_of_the_papers_exist():
    """"paper:table:model:variant" of each row is a row of the published tables, and belongs to one family."""
    tables = sorted(PUBLISHED.glob("*.csv"))
    if not tables:
        pytest.skip("ceae_core/report/published has no tables")
    published = set()
    for table in tables:
        with table.open(encoding="utf-8", newline="") as file:
            published |= {":".join(line[column] for column in ("paper", "table", "model", "variant"))
                          for line in csv.DictReader(file) if {"paper", "table", "model", "variant"} <= line.keys()}
    named = [key for row in FAMILIES.values() for key in row.rows]
    assert len(named) == len(set(named)) and set(named) <= published


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_of_the_papers_resolve_to_different_runs(name: str):
    """What `--set` turns a family into a row is valid, and two rows of one table are never the same run."""
    for paper, table in {tuple(key.split(":")[:2]) for key in FAMILIES[name].rows}:
        made = [resolve(name, scale="smoke", set=change).id for key, change in FAMILIES[name].rows.items()
                if key.split(":")[:2] == [paper, table]]
        assert len(made) == len(set(made))


def test_values_in_row_names_are_the_values_that_are_set():
    """"beta=0.4" in the name of a row is what it sets."""
    spelled = {"free_bits": "target"}
    checked = 0
    for row in FAMILIES.values():
        for key, change in row.rows.items():
            if "=" in (variant := key.rsplit(":", 1)[1]):
                option, _, value = variant.partition("=")
                assert change[spelled.get(option, option)] == float(value), key
                checked += 1
    assert checked >= 10


def test_the_lists_of_values_name_real_settings_and_options():
    known = vars(Settings()).keys() | {option for row in FAMILIES.values() for option in row.defaults()}
    assert {*spec.CHOICES, *spec.POSITIVE, *spec.NOT_NEGATIVE, *spec.FRACTIONS} <= known
