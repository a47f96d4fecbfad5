"""Training speed at PTB's paper shape against the way iVAE and BN-VAE compute a step, interleaved in one process.

    python -m benchmarks.training_speed                 sentences of PTB where CEAE_DATA has it, else of its lengths
    python -m benchmarks.training_speed --batches 50 --json

Every batch runs through all variants in random order, the same batch for all: what else the machine does falls on all
of them.  Time is CPU time of this process (wall time on a GPU).  Before measuring, the losses and gradients of the
reference and of our VAE, on equal weights and without dropout, are checked to agree.  The reference is always its VAE
in float32, also for our CEAE, which does more work: contrast and momentum encoder.
"""

import argparse
import json
import os
import platform
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.reference import ReferenceVAE
from ceae_core import corpora, zoo
from ceae_core.corpora import Corpus, Split, Vocabulary
from ceae_core.errors import CeaeError
from ceae_core.hardware import choose_device, cpu_threads
from ceae_core.progress import bar
from ceae_core.schedules import Clock
from ceae_core.spec import RunSpec, Settings
from ceae_core.training import Training

WORDS = 10_002                                                      # PTB's vocabulary with its four reserved rows
LENGTHS = [1, 6, 9, 11, 12, 14, 15, 16, 18, 19, 20, 22, 23, 24, 26, 27, 29, 31, 34, 39, 82]     # words: 5 % quantiles
VARIANTS = tuple((family, precision) for family in ("vae", "ceae") for precision in ("fp32", "bf16"))
WARM_UP = 2                                                         # batches before the clock counts
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}                            # relative, of loss and gradient


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=20, help="batches measured")
    parser.add_argument("--batching", default="same_length", choices=("same_length", "bucketed", "random"))
    parser.add_argument("--data", default=os.environ.get("CEAE_DATA"), help="folder with ptb/ (default: $CEAE_DATA)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--seed", type=int, default=1, help="of batches, weights and order")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        if options.batches < 1 or options.threads < 1:
            raise CeaeError("--batches and --threads must be at least 1")
        with cpu_threads(options.threads):
            result = measure(sentences(options.data), choose_device(options.device), options.batches, options.batching,
                             options.threads, options.seed)
    except CeaeError as error:
        print(f"training_speed: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result) if options.json else "\n".join(report(result)))
    return 0


def sentences(data: str | None) -> tuple[Corpus, Vocabulary]:
    """PTB, or without it 20,000 sentences with PTB's lengths and Zipf's word frequencies."""
    if data and (Path(data) / "ptb").is_dir():
        corpus = corpora.load("ptb", data)
        return corpus, corpus.vocabulary("bn")
    draw = np.random.default_rng(0)
    words = [f"w{i}" for i in range(WORDS - 4)]
    share = 1 / np.arange(1, len(words) + 1)
    lengths = np.interp(draw.random(20_000), np.linspace(0, 1, len(LENGTHS)), LENGTHS).astype(int)
    text = iter(draw.choice(words, lengths.sum(), p=share / share.sum()).tolist())
    split = Split([tuple(next(text) for _ in range(n)) for n in lengths], {})
    corpus = Corpus("synthetic", {"train": split, "valid": Split(split.sentences[:32], {}), "test": split})
    return corpus, Vocabulary(("<pad>", "<s>", "</s>", "<unk>", *words), 0, 1, 2, 3)


def build(text: tuple[Corpus, Vocabulary], family: str, precision: str, batching: str, threads: int, seed: int,
          device: torch.device) -> Training:
    """Our training of one variant at the paper's shape."""
    corpus, vocabulary = text
    settings = Settings(embedding=256, hidden=256, latent=32, batch_size=32, optimiser="adam", lr=1e-3, decay="none",
                        batching=batching, precision=precision, threads=threads)
    options = zoo.family(family).defaults()
    if "c0" in options:
        options["c0"] = 1.0
    spec = RunSpec(family, corpus.name, corpus.sha256, "paper", seed, settings, options)
    return Training(spec, corpus, vocabulary, device)


def measure(text: tuple[Corpus, Vocabulary], device: torch.device, batches: int, batching: str, threads: int,
            seed: int) -> dict[str, Any]:
    """Check, then time `batches` steps of every variant and of the reference."""
    ours = {v: build(text, *v, batching, threads, seed, device) for v in VARIANTS}
    first = ours["vae", "fp32"]
    shape = first.settings
    reference = ReferenceVAE(len(text[1]), shape.embedding, shape.hidden, shape.latent, shape.dropout_in, shape.lr,
                             shape.clip).to(device)
    reference.load_state_dict(first.model.state_dict())
    plan = first.batches * (1 + (batches + WARM_UP) // len(first.batches))
    xs = [first.train_set.batch(rows).to(device) for rows in plan[:batches + WARM_UP]]
    agreement = {precision: compare(reference, ours["vae", precision], xs[0]) for precision in TOLERANCE}

    order, seconds = random.Random(seed), {name: [] for name in ("reference", *VARIANTS)}
    with bar(len(xs), "training speed") as shown:
        for step, x in enumerate(xs):
            for name in order.sample(list(seconds), len(seconds)):
                seconds[name].append(timed(reference, ours.get(name), x, step, device))
            shown.update(1)
    tokens = np.array([int((x[:, 1:] != 0).sum()) for x in xs[WARM_UP:]])
    times = {name: np.array(values[WARM_UP:]) for name, values in seconds.items()}
    return {"corpus": text[0].name, "vocabulary": len(text[1]), "batching": batching, "batches": batches,
            "threads": threads, "tokens_per_batch": float(tokens.mean()), "clock": clock(device)[0],
            "hardware": hardware(device), "torch": torch.__version__, "load": os.getloadavg()[0],
            "settings": asdict(shape), "agreement": agreement,
            "reference_tokens_per_second": float(tokens.sum() / times["reference"].sum()),
            "variants": [{"family": family, "precision": precision} | summary(times["reference"], times[v], tokens)
                         for v in VARIANTS for family, precision in [v]]}


def compare(reference: ReferenceVAE, training: Training, x: torch.Tensor) -> dict[str, float]:
    """Relative differences of loss and gradient, on equal weights and noise, dropout off.  CeaeError if they differ."""
    training.model.load_state_dict(reference.state_dict())
    reference.eval(), training.model.eval()
    losses, gradients = [], []
    for model in (reference, training.model):
        torch.manual_seed(0)
        model.zero_grad()
        if model is reference:
            loss = reference.loss(x, 1.0)
        else:
            with training.autocast():
                latent = model.encode(x)
                loss = (model.nll(x, latent.z) + latent.kl.sum(-1)).mean()
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([weight.grad.flatten() for _, weight in sorted(model.named_parameters())]))
        model.zero_grad()
    found = {"loss_reference": losses[0], "loss_ours": losses[1], "loss_difference": abs(losses[1] / losses[0] - 1),
             "gradient_difference": float((gradients[1] - gradients[0]).norm() / gradients[0].norm())}
    limit = TOLERANCE[training.settings.precision]
    if not max(found["loss_difference"], found["gradient_difference"]) < limit:
        raise CeaeError(f"reference and VAE in {training.settings.precision} do not compute the same: {found}")
    reference.train()
    return found


def timed(reference: ReferenceVAE, training: Training | None, x: torch.Tensor, step: int,
          device: torch.device) -> float:
    """Seconds of one training step of our variant, or of the reference where there is none."""
    now = Clock(step + 100, 1000)                   # inside the annealing ramp: every term of the loss has weight
    if training:
        training.model.train()
    _, began = clock(device)
    if training:
        training.family.step(training, x, now)
    else:
        reference.step(x, 0.1)
    return clock(device)[1] - began


def clock(device: torch.device) -> tuple[str, float]:
    """Which clock, and its reading."""
    if device.type == "cpu":
        return "process CPU time", time.process_time()
    torch.accelerator.synchronize(device)
    return "wall time", time.perf_counter()


def hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    native = torch.cpu.get_capabilities()
    return f"{(names or [platform.machine()])[0]}, bf16 {'' if native.get('avx512_bf16') else 'not '}native"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def summary(reference: np.ndarray, ours: np.ndarray, tokens: np.ndarray) -> dict[str, float]:
    """Speed and its ratio to the reference: of all the time, and by batch."""
    low, middle, high = np.quantile(reference / ours, [0.25, 0.5, 0.75])
    return {"tokens_per_second": float(tokens.sum() / ours.sum()), "ratio": float(reference.sum() / ours.sum()),
            "ratio_median": float(middle), "ratio_quartile_1": float(low), "ratio_quartile_3": float(high)}


def report(result: dict[str, Any]) -> list[str]:
    """The result as plain lines."""
    lines = [f"{result['corpus']}, {result['vocabulary']:,} words, 256/256/32, batches of 32 ({result['batching']}), "
             f"{result['tokens_per_batch']:.0f} tokens each, {result['batches']} batches",
             f"{result['hardware']}, torch {result['torch']}, {result['threads']} threads, {result['clock']}, "
             f"load {result['load']:.1f}",
             *(f"agreement in {precision}: loss {found['loss_reference']:.4f} and {found['loss_ours']:.4f}, gradients "
               f"differ by {found['gradient_difference']:.1e}" for precision, found in result["agreement"].items()),
             "", f"{'':16}{'tokens/s':>10}{'ratio':>9}{'median by batch':>18}{'quartiles':>15}",
             f"{'reference fp32':16}{result['reference_tokens_per_second']:10,.0f}{1:9.2f}"]
    for row in result["variants"]:
        name = f"{row['family']} {row['precision']}"
        quartiles = f"{row['ratio_quartile_1']:.2f} to {row['ratio_quartile_3']:.2f}"
        lines.append(f"{name:16}{row['tokens_per_second']:10,.0f}{row['ratio']:9.2f}{row['ratio_median']:18.2f}"
                     f"{quartiles:>15}")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
