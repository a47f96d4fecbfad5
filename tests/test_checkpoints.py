"""A run is what its pretrained weights are, wherever they lie; a finished run needs them no more."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ceae_core import checkpoints, execute, generate, pretrained
from ceae_core.errors import CeaeError, NotRun
from ceae_core.runs import Store
from ceae_core.spec import RunSpec, resolve

SMALL = {"batch_size": 64, "precision": "fp32", "iw_samples": 2, "iw_sentences": 4}


@pytest.fixture
def spec(reviews: Path) -> Callable[..., RunSpec]:
    """spec(family, **changes) at scale `smoke` on a text file."""
    return lambda family="optimus", **changes: resolve(family, str(reviews), "smoke", set={**SMALL, **changes})


def altered(folder: Path, source: Path) -> Path:
    """A copy in which one weight is another."""
    shutil.copytree(source, folder)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1.0
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_the_id_follows_the_weights_and_not_their_place(spec, tiny_bert: Path, tiny_gpt2: Path, tmp_path: Path):
    here = spec(encoder=tiny_bert, decoder=tiny_gpt2)
    elsewhere = shutil.copytree(tiny_bert, tmp_path / tiny_bert.name)
    there = spec(encoder=elsewhere, decoder=tiny_gpt2)
    other = spec(encoder=altered(tmp_path / "other" / tiny_bert.name, tiny_bert), decoder=tiny_gpt2)
    assert here.id == there.id != other.id and len({here.id, other.id, spec(encoder=tiny_bert).id, spec().id}) == 4
    assert re.fullmatch(r"tiny-bert@[0-9a-f]{16}", here.settings.encoder)
    assert here.source["encoder"] == str(tiny_bert) and there.source["encoder"] == str(elsewhere)
    assert str(tiny_bert.parent) not in here.canonical()
    assert RunSpec.from_json(here.to_json()).source == here.source


def test_defaults_need_no_place(spec):
    made = spec()
    assert made.settings.encoder == "minilm" and made.settings.decoder == "scratch"
    assert made.source.keys() == {"corpus"}


def test_an_identity_is_looked_up_by_its_name_and_checked(monkeypatch, tiny_bert: Path):
    found = pretrained.load(tiny_bert, "encoder", "test")
    asked: list[str] = []
    monkeypatch.setattr(pretrained, "load", lambda source, *rest, **more: asked.append(source) or found)
    identity = f"tiny-bert@{found.sha256}"
    assert checkpoints.identify("encoder", identity) == (identity, "tiny-bert") and asked == ["tiny-bert"]
    with pytest.raises(CeaeError, match="has other weights now"):
        checkpoints.identify("encoder", f"tiny-bert@{'0' * 16}")


def test_weights_that_are_not_there_say_how_to_get_them(spec, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for side in ("encoder", "decoder"):
        with pytest.raises(NotRun, match=f"{side} .*nowhere.*local folder.*HF_HOME"):
            spec(**{side: tmp_path / "nowhere"})


def test_a_damaged_folder_is_refused(spec, tiny_bert: Path, tmp_path: Path):
    damaged = shutil.copytree(tiny_bert, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"\0" * 99)
    with pytest.raises(CeaeError, match="'.*damaged' is no encoder"):
        spec(encoder=damaged)


@pytest.mark.parametrize(("changes", "message"), [
    ({"encoder": "tiny"}, "encoder: 'tiny' is a pretrained network; set net=pretrained"),
    ({"net": "transformer", "decoder": "gpt2"}, "decoder: 'gpt2' is a pretrained network; set net=pretrained")])
def test_other_networks_take_no_checkpoint(spec, changes: dict, message: str):
    with pytest.raises(CeaeError, match=message):
        spec("vae", **changes)


def test_an_encoder_and_a_decoder_that_changed_places(spec, tiny_bert: Path, tiny_gpt2: Path, tmp_path: Path):
    made = spec(encoder=tiny_gpt2)
    with pytest.raises(CeaeError, match="its kind is gpt2; give an encoder of kind bert"):
        execute.obtain(made, Store(tmp_path))


def test_weights_that_moved_or_changed_since(spec, tiny_bert: Path, tmp_path: Path):
    """The message names the run, what it needs and what to type; given again, the run is the same."""
    place = shutil.copytree(tiny_bert, tmp_path / "tiny-bert")
    made = spec(encoder=place)
    place.rename(tmp_path / "moved")
    with pytest.raises(NotRun, match=f"{made.id}: its encoder tiny-bert@.*not here.*--set encoder=FOLDER"):
        execute.obtain(made, Store(tmp_path / "runs"))
    altered(place, tmp_path / "moved")
    with pytest.raises(CeaeError, match="its encoder is tiny-bert@.*has tiny-bert@.* now.*--set encoder=FOLDER"):
        execute.obtain(made, Store(tmp_path / "runs"))


@pytest.mark.parametrize("family", ["optimus", "optimus-ceae", "lstm-lm", "sa-vae", "ivae"])
@pytest.mark.parametrize("subwords", [False, True])
def test_a_finished_run_needs_no_checkpoint(family: str, subwords: bool, spec, tiny_bert: Path, tiny_gpt2: Path,
                                            tmp_path: Path):
    """Trained from a folder that is gone afterwards: it measures the same, draws the same sentences, interpolates."""
    places = {"encoder": shutil.copytree(tiny_bert, tmp_path / "tiny-bert")}
    if subwords:
        places["decoder"] = shutil.copytree(tiny_gpt2, tmp_path / "tiny-gpt2")
    run = execute.obtain(spec(family, net="pretrained", **places), Store(tmp_path / "runs"))
    for place in places.values():
        shutil.rmtree(place)
    assert run.status == "complete" and execute.remeasure(run) == run.metrics
    assert len(run.samples["greedy"]) == execute.SAMPLES
    sentences = generate.of_run(run, 5, how="multinomial", seed=3)
    assert len(sentences) == 5 and all(" " not in word for sentence in sentences for word in sentence)
    if family != "lstm-lm":
        assert len(generate.reconstruct(run.model(), [("the", "food", "was", "good")], run.vocabulary())) == 1


def test_what_a_run_keeps(spec, tiny_bert: Path, tmp_path: Path):
    """Fine-tuned weights once, embeddings of word pieces that occur, tables in the place of a tokenizer."""
    run = execute.obtain(spec(encoder=tiny_bert), Store(tmp_path))
    weights = safetensors.torch.load_file(run.folder / "model.safetensors")
    words = len(run.vocabulary())
    assert weights["encoder.words.table"].shape[0] == words == weights["decoder.body.wte.weight"].shape[0]
    used = weights["encoder.words.table"].unique()
    assert weights["encoder.body.embeddings.word_embeddings.weight"].shape[0] == int(used.max()) + 1
    saved = json.loads(bytes(weights["encoder.config"].tolist()))
    assert saved["model_type"] == "bert" and "/" not in saved.get("_name_or_path", "")
    fresh = pretrained.load(tiny_bert, "encoder", "test").model.state_dict()
    assert not torch.equal(weights["encoder.body.pooler.dense.weight"], fresh["pooler.dense.weight"])
