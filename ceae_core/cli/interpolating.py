"""`ceae interpolate`: sentences between two sentences."""

import argparse

from ceae_core.cli.output import show, table
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError


def add(command: Command) -> None:
    """Put this command into the parser."""
    made = command("interpolate", interpolate, "decode the line between the codes of two sentences")
    made.add_argument("name", metavar="RUN")
    made.add_argument("first", metavar="FIRST", help="a sentence, its words and punctuation marks set apart by spaces")
    made.add_argument("second", metavar="SECOND")
    made.add_argument("--steps", type=int, default=11, help="points on the line, the ends included")
    made.add_argument("--max-length", type=int, default=100, help="most words of a decoded sentence")
    made.add_argument("--seed", type=int, default=0, help="of the samples that are averaged, where posteriors need it")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")


def interpolate(options: argparse.Namespace) -> None:
    """Decode between two sentences, the weight of the first from 0 to 1."""
    from ceae_core.hardware import choose_device
    from ceae_core.measure import interpolation
    from ceae_core.runs import Store
    if options.max_length < 1:
        raise CeaeError("interpolate: --max-length must be at least 1")
    weights = interpolation.grid(options.steps)
    run = Store(options.runs).find(options.name)
    run.require("is no model to interpolate with")
    vocabulary = run.vocabulary()
    line, unknown = interpolation.between(run.model(choose_device(options.device)), vocabulary, options.first,
                                          options.second, weights, max_length=options.max_length, seed=options.seed)
    points = [{"lambda": round(float(weight), 6), "sentence": " ".join(sentence), "norm": float(norm)}
              for weight, sentence, norm in zip(line.weights, line.sentences, line.norms, strict=True)]
    result = {"run": run.id, "lambda": "weight of the first sentence", "first": " ".join(line.pair[0]),
              "second": " ".join(line.pair[1]), "unknown_words": unknown, "points": points}
    said = [f"read as {vocabulary.words[vocabulary.unk]}: {', '.join(unknown)}"] if unknown else []
    rows = [[f"{point['lambda']:g}", point["sentence"], point["norm"]] for point in points]
    show(options, result, [f"run {run.id}, λ is the weight of the first sentence", *said,
                           *table(["λ", "sentence", "norm of the code"], rows)])
