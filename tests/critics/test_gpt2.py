"""The GPT-2 critic on a tiny checkpoint, against single forward passes and softmaxes by hand."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ceae_core.critics.gpt2 import Gpt2Critic, load, windows
from ceae_core.errors import CeaeError, NotRun

POSITIONS = 16
SENTENCES = [("the", "tacos", "were", "great", "."), (), ("soup",), ("we", "loved", "the", "zzz", "<unk>"), ("the",)]
LONG = ("the", "soup", "was", "great", ".") * 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory, gpt2_checkpoint) -> Path:
    texts = [" ".join(s) for s in [*SENTENCES, LONG]] * 3
    return gpt2_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny-gpt2", texts, POSITIONS)


@pytest.fixture(scope="module")
def critic(folder) -> Gpt2Critic:
    return load(folder, window=8, stride=3, device="cpu")


@torch.no_grad()
def nats(critic: Gpt2Critic, context: list[int], token: int) -> float:
    """-log p(token | context), from one forward pass and an explicit softmax."""
    logits = critic.model(input_ids=torch.tensor([context])).logits[0, -1].double().numpy()
    shifted = np.exp(logits - logits.max())
    return -float(np.log(shifted[token] / shifted.sum()))


def ids(critic: Gpt2Critic, sentence) -> list[int]:
    """What the sentence and its newline are called, and that this is really their spelling."""
    found = critic.tokenizer(" ".join(sentence) + "\n", add_special_tokens=False).input_ids
    assert critic.tokenizer.decode(found) == " ".join(sentence) + "\n"
    return found


# scores -----------------------------------------------------------------------------------------------------------

def test_sentences_one_by_one_by_hand(critic):
    short = [s for s in SENTENCES if len(ids(critic, s)) <= 8]
    assert len(short) >= 4
    expected = []
    for sentence in short:
        tokens = [0, *ids(critic, sentence)]                            # 0: the end of text
        expected.append(sum(nats(critic, tokens[:i], tokens[i]) for i in range(1, len(tokens))))
    scores = critic.score(short)
    assert scores.nats == pytest.approx(expected, rel=1e-5)
    assert scores.positions.tolist() == [len(ids(critic, s)) for s in short]
    assert scores.words.tolist() == [len(s) + 1 for s in short]
    assert not scores.oov.any() and not scores.oov_nats.any()


def begin_by_hand(token: int) -> int:
    """The window of 8, moved by 3, in which a token is counted: the first that holds it."""
    return next(begin for begin in range(0, 1000, 3) if token < begin + 8)


def test_a_stream_by_hand(critic):
    text = [*SENTENCES, LONG]
    rows = [ids(critic, s) for s in text]
    stream = [0, *(token for row in rows for token in row)]
    assert len(stream) > 3 * POSITIONS
    every = [nats(critic, stream[begin_by_hand(i):i + 1], stream[i + 1]) for i in range(len(stream) - 1)]
    ends = np.cumsum([len(row) for row in rows])
    expected = [sum(every[end - len(row):end]) for row, end in zip(rows, ends, strict=True)]
    scores = critic.score_stream(text)
    assert scores.nats == pytest.approx(expected, rel=1e-5)
    assert scores.positions.tolist() == [len(row) for row in rows] and scores.words[-1] == len(LONG) + 1
    assert scores.perplexity() == pytest.approx(np.exp(np.mean(every)), rel=1e-5)
    assert scores.perplexity_per_word() == pytest.approx(np.exp(sum(every) / sum(len(s) + 1 for s in text)), rel=1e-5)


def test_the_stream_is_the_text_joined_by_newlines(critic):
    joined = critic.tokenizer("".join(" ".join(s) + "\n" for s in SENTENCES), add_special_tokens=False).input_ids
    assert [token for s in SENTENCES for token in ids(critic, s)] == joined
    assert critic.score_stream(SENTENCES).positions.sum() == len(joined)


def test_a_sentence_longer_than_the_window_is_a_stream_of_its_own(critic):
    assert len(ids(critic, LONG)) > 8
    mixed = critic.score([SENTENCES[0], LONG, SENTENCES[2]])
    assert mixed.nats[1] == pytest.approx(critic.score_stream([LONG]).nats[0], rel=1e-5)
    assert mixed.nats[[0, 2]] == pytest.approx(critic.score([SENTENCES[0], SENTENCES[2]]).nats, rel=1e-5)


def test_padding_and_company_do_not_matter(critic, folder):
    wide = load(folder, device="cpu")                                   # all of these fit into one batch
    assert wide.window == POSITIONS and wide.settings["stride"] == POSITIONS // 2
    alone = [wide.score([s]).nats[0] for s in SENTENCES]
    assert wide.score(SENTENCES).nats == pytest.approx(alone, rel=1e-5)
    assert wide.score(SENTENCES[::-1]).nats[::-1] == pytest.approx(alone, rel=1e-5)


def test_a_batch_fills_at_most_a_window(critic, monkeypatch):
    sizes, original = [], critic._together

    def watched(rows):
        sizes.append((len(rows), max(map(len, rows))))
        return original(rows)
    monkeypatch.setattr(critic, "_together", watched)
    sentences = [("the",) * n for n in (1, 0, 2, 1, 0, 3, 1, 0, 0, 7)]
    scores = critic.score(sentences)
    assert sum(count for count, _ in sizes) == len(sentences) > len(sizes) and (scores.nats > 0).all()
    assert all(count * longest <= 8 for count, longest in sizes)


def test_no_sentences(critic):
    for scores in (critic.score([]), critic.score_stream([])):
        assert len(scores.nats) == 0
        with pytest.raises(CeaeError, match="no position"):
            scores.perplexity()


@pytest.mark.parametrize("count", [1, 7, 8, 9, 30, 64, 65])
@pytest.mark.parametrize("window, stride", [(8, 8), (8, 4), (8, 3), (8, 1), (1, 1)])
def test_windows_count_every_token_once_with_enough_before_it(count, window, stride):
    counted = []
    for begin, end, first in windows(count, window, stride):
        assert end - begin <= window and begin <= first < end
        for token in range(first, end):
            assert token - begin >= min(token, window - stride)         # others before it, besides the one it follows
            counted.append(token)
    assert counted == list(range(count))


# loading ------------------------------------------------------------------------------------------------------------

def test_settings_name_the_weights_and_no_path(critic, folder, tmp_path):
    settings = critic.settings
    assert critic.name == "gpt2" and settings["model"] == "tiny-gpt2" and str(folder.parent) not in str(settings)
    assert (settings["window"], settings["stride"], settings["tokens"]) == (8, 3, 290)
    assert settings["parameters"] == sum(weight.numel() for weight in critic.model.parameters())
    other = shutil.copytree(folder, tmp_path / "tiny-gpt2")
    assert load(other, device="cpu").settings["weights_sha256"] == settings["weights_sha256"]
    weights = load_file(other / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1.0
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    assert load(other, device="cpu").settings["weights_sha256"] != settings["weights_sha256"]


def test_weights_that_are_not_there_are_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("gpt2", str(tmp_path / "nowhere"), "not a name!!"):
        with pytest.raises(NotRun, match="no weights .* local folder.*network.*HF_HOME"):
            load(name, download=False)


def test_whether_weights_are_missing_is_known_without_importing_transformers(tmp_path):
    code = ("import sys\nfrom ceae_core.critics import gpt2\nfrom ceae_core.errors import NotRun\n"
            "try:\n    gpt2.load('gpt2', download=False)\n"
            "except NotRun:\n    print('transformers' in sys.modules)")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           env={"HF_HOME": str(tmp_path), "PATH": ""})
    assert found.stdout.strip() == "False"


def test_a_tokenizer_without_a_newline(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copy / name).unlink()
    with pytest.raises(CeaeError, match="no token for a newline"):
        load(copy)


@pytest.mark.parametrize("window, stride, problem", [(17, 3, "window must be 1 to 16, .* not 17"), (-1, 1, "not -1"),
                                                     (8, 9, "stride must be 1 to 8, .* not 9"), (8, 0, "not 0")])
def test_windows_that_cannot_be(folder, window, stride, problem):
    with pytest.raises(CeaeError, match=problem):
        load(folder, window=window, stride=stride)


def test_a_tokenizer_without_an_end_of_text(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "tokenizer_config.json").read_text())
    config.pop("eos_token")
    (copy / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(CeaeError, match="no end of text"):
        load(copy)
