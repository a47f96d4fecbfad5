"""Shared by all tests: one thread, and real trainings at the smallest scale."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from ceae_core.cli import main
from ceae_core.corpora import Corpus, oracle
from ceae_core.spec import resolve
from ceae_core.training import Training
from ceae_core.zoo import FAMILIES


@pytest.fixture(scope="session", autouse=True)
def heeds_interrupts() -> None:
    """Ctrl-C reaches the tests and their child processes also where the tests were started in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums depend on the number of threads, and small tensors are slower with two."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def oracle_corpus() -> Corpus:
    """The oracle corpus at scale `smoke`: 1200 training, 200 validation, 200 test sentences."""
    return resolve("lstm-lm", "oracle", "smoke").load_corpus()


@pytest.fixture(scope="session")
def tiny_encoder(tiny_bert: Path) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
    """tiny_encoder(family, changes): settings that give a pretrained network `tiny_bert`, all of it trained."""
    def settings(family: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        net = changes.get("net", FAMILIES[family].settings.get("net", "lstm"))
        return {"encoder": tiny_bert, "tuned": 0} if net == "pretrained" else {}
    return settings


@pytest.fixture(scope="session")
def smoke(oracle_corpus: Corpus, tiny_encoder: Callable) -> Callable[..., Training]:
    """smoke(family, seed=1, **changes): a training on the oracle corpus at its start, in fp32 on the CPU."""
    def started(family: str, seed: int = 1, **changes: Any) -> Training:
        spec = resolve(family, "oracle", "smoke", seed,
                       set={"precision": "fp32", **tiny_encoder(family, changes), **changes})
        return Training(spec, oracle_corpus, oracle_corpus.vocabulary(spec.settings.vocabulary), torch.device("cpu"))
    return started


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file of 240 sentences: own text on which a training takes a fraction of a second."""
    path = tmp_path_factory.mktemp("text") / "reviews.txt"
    path.write_text("".join(" ".join(s) + "\n" for s in oracle.default().sample(240, 5).sentences))
    return path


@pytest.fixture(scope="session")
def gpt2_checkpoint() -> Callable[..., Path]:
    """gpt2_checkpoint(folder, texts, positions): a GPT-2 of two layers, weights drawn with a fixed seed, large enough
    that contexts matter; a byte-level tokenizer of 290 tokens as GPT-2 has, fitted to the texts."""
    def saved(path: Path, texts: list[str], positions: int) -> Path:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
            vocab_size=290, special_tokens=["<|endoftext|>"], show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
        fast.save_pretrained(path)
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(fast), n_positions=positions, n_embd=16, n_layer=2, n_head=2,
                                           bos_token_id=0, eos_token_id=0, initializer_range=0.4))
        model.save_pretrained(path)
        return path
    return saved


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory, gpt2_checkpoint: Callable[..., Path]) -> Path:
    """The folder of such a GPT-2, its tokenizer fitted to reviews, with 128 positions."""
    texts = [" ".join(s) for s in oracle.default().sample(200, 5).sentences]
    return gpt2_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny-gpt2", texts, 128)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a BERT of two layers and 16 units with its word pieces; weights drawn with a fixed seed."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, BertTokenizerFast
    path = tmp_path_factory.mktemp("checkpoints") / "tiny-bert"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator((" ".join(s) for s in oracle.default().sample(200, 5).sentences),
                                  trainers.WordPieceTrainer(vocab_size=200, special_tokens=special,
                                                            show_progress=False))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = BertTokenizerFast(tokenizer_object=tokenizer)
    fast.save_pretrained(path)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(fast), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                         intermediate_size=32, max_position_embeddings=128,
                         initializer_range=0.3)).save_pretrained(path)
    return path


class Said(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1]


@pytest.fixture
def ceae(capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """ceae(*arguments): the command in a working directory of its own; no mistake of a user gives a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CEAE_RUNS", raising=False)

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as left:
            status = left.code
        said = Said(status, *capsys.readouterr())
        assert "Traceback" not in said.err
        return said
    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; tests that ask for it are skipped where it or its driver is not installed."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if found is None:
        pytest.skip("no chromium on this machine")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
