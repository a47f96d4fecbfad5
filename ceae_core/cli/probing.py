"""`ceae probe`: what a small classifier learns from the codes of a run and few labels."""

import argparse
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from ceae_core.cli.output import show, table
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError


def add(command: Command) -> None:
    """Put this command into the parser."""
    made = command("probe", probe, "accuracy of a small classifier of a run's codes, learnt from few labels")
    made.add_argument("name", metavar="RUN")
    made.add_argument("--labels", metavar="N,N,…", help="numbers of labelled sentences (default: the paper's, from 100 "
                      "to 10000, as far as there are so many)")
    made.add_argument("--seeds", type=int, default=10, help="choices of labelled sentences, each with its own start "
                      "of the classifier (default: 10)")
    made.add_argument("--labelled", metavar="CORPUS", help="another corpus than the run's, by name")
    made.add_argument("--label", help="which label (default: sentiment, or the only one)")
    made.add_argument("--head", choices=("mlp", "linear"), default="mlp", help="mlp: two hidden layers (default)")
    made.add_argument("--draw", choices=("random", "first"), default="random",
                      help="first: no choice by seed, but the first sentences of the training split; those of "
                           "short-yelp-10k are the published subsets")
    made.add_argument("--balanced", action="store_true", help="as many labelled sentences of each class")
    made.add_argument("--standardise", action="store_true", help="scale the units of the code to sd 1 first")
    made.add_argument("--untrained", action="store_true", help="probe the model as it was before its first step")
    made.add_argument("--baselines", action="store_true",
                      help="add the most frequent class, a classifier of words, and the best one where it is known")
    made.add_argument("--data", metavar="DIR", help="folder where the files of the corpus are now")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")


def probe(options: argparse.Namespace) -> None:
    """Train the classifiers, or show what is stored."""
    from ceae_core.experiments import probe as experiment
    from ceae_core.measure.probe import Protocol
    from ceae_core.runs import Store
    store = Store(options.runs)
    run = store.find(options.name)
    experiment.check(run)
    design = experiment.Design(
        experiment.COUNTS if options.labels is None else _counts(options.labels), options.seeds, options.label,
        options.draw, options.balanced, options.standardise, Protocol(options.head))
    where = experiment.source(run, options.labelled, options.data)
    if options.labels is None:
        available = len(where.load()["train"])
        design = replace(design, counts=tuple(n for n in design.counts if n <= available) or (available,))
    made, = experiment.obtain([run], design, labelled=where.corpus, untrained=options.untrained, store=store,
                              data=options.data, device=options.device)
    found = made["result"]
    result = {"run": run.id, "experiment": made["id"], "untrained": options.untrained, "labelled": where.corpus,
              "head": options.head, "draw": options.draw, "balanced": options.balanced,
              "standardised": options.standardise, "what_a_seed_changes": experiment.SEED_CHANGES[options.draw],
              **found, "counts": [_summary(each) for each in found["counts"]]}
    lines = [f"run {run.id}{', untrained' if options.untrained else ''}",
             f"{found['label']} ({', '.join(found['classes'])}) of {where.corpus}: {options.head} head, accuracy on "
             f"{found['sentences']['test']:,} test sentences",
             f"a seed changes {experiment.SEED_CHANGES[options.draw]}",
             *_table(result["counts"])]
    if options.baselines:
        against = experiment.of_source(where, design, store=store)["result"]
        result["baselines"] = against | {"counts": [_summary(each) for each in against["counts"]]}
        lines += ["", "logistic regression on words, from the same labels", *_table(result["baselines"]["counts"]),
                  *(f"{title}: {against[key]:.2f} %" for title, key in (
                      ("always the most frequent class", "majority_percent"),
                      ("the classifier that knows the grammar", "best_percent"),
                      ("test sentences that are also among the labelled", "seen_percent"))
                    if against[key] is not None)]
    show(options, result, lines)


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise CeaeError(f"--labels {text}: write whole numbers with commas between them, as in 100,500,1000") from None
    if len(set(counts)) < len(counts):
        raise CeaeError(f"--labels {text}: a number is there twice")
    return counts


def _summary(found: dict[str, Any]) -> dict[str, Any]:
    """Statistics over seeds before the numbers themselves; the sd of one is None."""
    values = found["accuracy_percent"]
    return {"labels": found["labels"], "n": len(values), "accuracy_percent_mean": mean(values),
            "accuracy_percent_sd": stdev(values) if len(values) > 1 else None, **found}


def _table(counts: list[dict[str, Any]]) -> list[str]:
    return table(["labels", "accuracy (%)", "sd", "lowest", "highest", "seeds"],
                 [[each["labels"], each["accuracy_percent_mean"], each["accuracy_percent_sd"],
                   min(each["accuracy_percent"]), max(each["accuracy_percent"]), each["n"]] for each in counts])
