"""`ceae critic` and `ceae perplexity`: how good text is, by models of text."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ceae_core.cli.output import metrics, show
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError

KINDS = ("ngram", "lstm", "gpt2", "gpt2-scratch", "oracle")       # those of ceae_core.critics, which imports torch
MAX_TOKENS = 10_000             # words of a line of a file
EXIT_NOT_RUN = 1


def add(command: Command) -> None:
    """Put these commands into the parser."""
    made = command("critic", critic, "perplexity of a text under a critic, trained on another text where it has to be")
    made.add_argument("kind", choices=KINDS)
    made.add_argument("--train", metavar="FILE", help="what the critic is trained on, one sentence a line")
    made.add_argument("--test", metavar="FILE", required=True, help="what it scores, one sentence a line")
    _add_options(made)

    made = command("perplexity", perplexity, "forward and reverse perplexity of a run's samples, and how they repeat")
    made.add_argument("name", metavar="RUN")
    made.add_argument("--critic", choices=KINDS, help="default: ngram, or that of the paper")
    made.add_argument("--paper", choices=("ceae", "clvm"), help="start from the protocol of a paper")
    made.add_argument("--forward", type=int, metavar="N", help="samples that are scored (default: 1000)")
    made.add_argument("--samples", type=int, metavar="N", dest="reverse",
                      help="samples that train the reverse critic (default: 10000); the first are those scored")
    made.add_argument("--decode", choices=("greedy", "multinomial"), help="default: multinomial")
    made.add_argument("--temperature", type=float)
    made.add_argument("--max-length", type=int)
    made.add_argument("--split", choices=("train", "valid", "test"), help="what the reverse critic scores")
    made.add_argument("--stream", action="store_true", default=None,
                      help="lstm, gpt2: score the sentences as one text, each after those before it")
    made.add_argument("--data", metavar="DIR", help="folder where the files of its corpus are now")
    _add_options(made)


def _add_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--order", type=int, help="ngram: longest n-gram (default: 5)")
    made.add_argument("--unknown", choices=("rename", "skip"), help="ngram: what becomes of <unk> (default: rename)")
    made.add_argument("--model", metavar="DIR|NAME", help="gpt2: a folder with weights, or a name of the hub")
    made.add_argument("--scale", help="lstm, gpt2-scratch: size and length of the training (default: paper)")
    made.add_argument("--no-end", dest="count_end", action="store_false", default=None,
                      help="ngram: do not score the ends of sentences")
    made.add_argument("--seed", type=int, help="of samples and trainings (default: 1)")
    made.add_argument("--device", default="auto")


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options that the user wrote."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def critic(options: argparse.Namespace) -> None:
    """Score a file."""
    from ceae_core.corpora.vocabulary import build
    from ceae_core.critics import Options, kind
    from ceae_core.critics.perplexity import summary
    from ceae_core.runs import Store
    how = kind(options.kind)
    chosen = Options(**_given(options, "order", "unknown", "count_end", "model", "scale", "seed", "device"),
                     download=True, store=Store(options.runs))
    if how.fit is None and options.train:
        raise CeaeError(f"critic {options.kind}: it comes as it is and is not trained; leave out --train")
    if how.fit is not None and not options.train:
        raise CeaeError(f"critic {options.kind}: it has to be trained first; name a text with --train")
    test = _sentences(options.test)
    if how.fit is None:
        judge = how.given(chosen)
    else:
        train = _sentences(options.train)
        judge = how.fit(train, build(train, "bn"), chosen)
    found = {"critic": options.kind} | summary(judge.score(test)) | {"settings": judge.settings}
    if options.kind == "oracle":
        found |= judge.truth(test) | judge.coverage(test)._asdict()
    show(options, found, metrics({k: v for k, v in found.items() if k != "settings"}))


def _sentences(name: str) -> list[tuple[str, ...]]:
    """The sentences of a text file, one a line.  Raises CeaeError for anything that is not one."""
    from ceae_core.corpora import files
    path = Path(name).expanduser()
    return files.parse(files.lines(files.read(path), path), path, False, MAX_TOKENS)[0]


def perplexity(options: argparse.Namespace) -> int:
    """Both directions for the samples of a run; status 1 when the critic cannot be had here."""
    from dataclasses import replace

    from ceae_core.critics.perplexity import PAPERS, Protocol, of_run
    from ceae_core.runs import Store
    changes = _given(options, "forward", "reverse", "decode", "temperature", "max_length", "split", "order", "unknown",
                     "count_end", "stream", "model", "scale", "seed", "critic")
    start = PAPERS[options.paper] if options.paper else Protocol()
    store = Store(options.runs)
    run = store.find(options.name)
    if options.scale is None:
        changes["scale"] = run.spec.scale
    if options.reverse and options.forward is None:
        changes["forward"] = min(start.forward, options.reverse)
    found = {"run": run.id} | of_run(run, replace(start, **changes), data=options.data, store=store,
                                     device=options.device)
    lines = [f"run {run.id}, critic {found['critic']}, {found['protocol']['decode']} samples"]
    for part in ("forward", "reverse", "diversity"):
        lines += [part, *metrics({k: v for k, v in found[part].items() if k not in ("lengths", "settings")})]
    show(options, found, lines)
    if reason := found["forward"].get("not_run"):
        print(f"ceae: not run: {reason}", file=sys.stderr)
        return EXIT_NOT_RUN
    return 0
