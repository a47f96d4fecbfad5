"""`ceae train`, `measure`, `sample` and `run-spec`: what needs a model."""

import argparse
import sys

from ceae_core.cli.output import metrics, save, show
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError

EXIT_DIVERGED = 1


def add(command: Command) -> None:
    """Put these commands into the parser."""
    made = command("train", train, "train a family, or continue, or load what is complete")
    made.add_argument("family")
    made.add_argument("--net", default=None, help="lstm, transformer or pretrained (default: that of the family)")
    made.add_argument("--corpus", default="oracle", help="a corpus by name, a text file, or a folder with three files")
    made.add_argument("--scale", default="quick", help="smoke, quick, laptop or paper")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--data", metavar="DIR", help="folder of corpora (default: $CEAE_DATA)")
    for split in ("train", "valid", "test"):
        made.add_argument(f"--{split}", metavar="FILE", help=f"the {split} split, one sentence a line")
    made.add_argument("--set", action="extend", nargs="+", default=[], metavar="NAME=VALUE", help="options or settings")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    made.add_argument("--no-wait", action="store_true", help="leave at once if another process trains this run")
    made.add_argument("--checkpoint-seconds", type=float, default=60.0, metavar="S",
                      help="at most this much work is lost by a kill")

    made = command("measure", measure, "measure a run again, on its test split")
    made.add_argument("name", metavar="RUN")
    made.add_argument("--iw-samples", type=int, help="S of the importance-weighted bound")
    made.add_argument("--iw-sentences", type=int, help="test sentences of that bound")
    made.add_argument("--iw-refine", type=int, help="gradient steps per sentence for a refined proposal; 0: none")
    made.add_argument("--data", metavar="DIR", help="folder where the files of its corpus are now")
    made.add_argument("--device", default="auto")

    made = command("sample", sample, "draw sentences from the prior of a run")
    made.add_argument("name", metavar="RUN")
    made.add_argument("-n", type=int, default=10, help="how many")
    made.add_argument("--decode", choices=("greedy", "multinomial"), default="greedy")
    made.add_argument("--temperature", type=float, default=1.0)
    made.add_argument("--max-length", type=int, default=100)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--out", metavar="FILE", help="write there, one sentence a line (default: stdout)")
    made.add_argument("--device", default="auto")

    # what `execute.ensure` starts for each run that it trains
    command("run-spec", run_spec, None, description="train the specification read from stdin").add_argument(
        "--device", default="auto")


def train(options: argparse.Namespace) -> int:
    """Train what the arguments specify."""
    from ceae_core.execute import obtain
    from ceae_core.runs import Store
    from ceae_core.spec import resolve
    changes = {"net": options.net} if options.net else {}
    for item in options.set:
        name, equals, value = item.partition("=")
        if not equals:
            raise CeaeError(f"--set {item}: write NAME=VALUE")
        changes[name.strip()] = value.strip()
    spec = resolve(options.family, options.corpus, options.scale, options.seed, set=changes, data=options.data,
                   train=options.train, valid=options.valid, test=options.test)
    run = obtain(spec, Store(options.runs), device=options.device, wait=not options.no_wait,
                 checkpoint_seconds=options.checkpoint_seconds)
    return _show_run(options, run)


def run_spec(options: argparse.Namespace) -> int:
    """Train the specification on stdin; a run that diverges is no error here, its reader sees the status.

    Another process that has the run is not waited for.
    """
    from ceae_core.execute import obtain
    from ceae_core.runs import Busy, Store
    from ceae_core.spec import RunSpec
    from ceae_core.workers import EXIT_BUSY
    try:
        run = obtain(RunSpec.from_json(sys.stdin.read()), Store(options.runs), device=options.device, wait=False)
    except Busy as error:
        print(f"ceae: {error}", file=sys.stderr)
        return EXIT_BUSY
    return _show_run(options, run, exit_diverged=0)


def _show_run(options: argparse.Namespace, run, exit_diverged: int = EXIT_DIVERGED) -> int:
    record = run.record
    result = {"run": run.id, "folder": str(run.folder), "status": run.status, "metrics": record["metrics"],
              "best_epoch": record["best_epoch"], "train_seconds": record["train_seconds"]}
    show(options, result, [f"run {run.id} ({run.status})", *metrics(record["metrics"])])
    if run.status == "diverged":
        print(f"ceae: {record['reason']}; kept as diverged, try a smaller --set lr=…", file=sys.stderr)
        return exit_diverged
    return 0


def measure(options: argparse.Namespace) -> None:
    """Measure a finished run again."""
    from ceae_core.execute import remeasure
    from ceae_core.runs import Store
    run = Store(options.runs).find(options.name)
    found = remeasure(run, iw_samples=options.iw_samples, iw_sentences=options.iw_sentences,
                      iw_refine=options.iw_refine, data=options.data, device=options.device)
    show(options, {"run": run.id, "metrics": found}, [f"run {run.id}", *metrics(found)])


def sample(options: argparse.Namespace) -> None:
    """Sentences from the prior, printed or written to a file."""
    from ceae_core import generate
    from ceae_core.runs import Store
    if options.n < 1 or options.max_length < 1:
        raise CeaeError("sample: -n and --max-length must be at least 1")
    run = Store(options.runs).find(options.name)
    drawn = generate.of_run(run, options.n, device=options.device, how=options.decode, seed=options.seed,
                            temperature=options.temperature, max_length=options.max_length)
    sentences = [" ".join(sentence) for sentence in drawn]
    if options.out:
        save(options.out, "".join(f"{s}\n" for s in sentences), "--out")
        show(options, {"run": run.id, "out": options.out, "sentences": len(sentences)},
             [f"{len(sentences)} sentences written to {options.out}"])
    else:
        show(options, {"run": run.id, "sentences": sentences}, sentences)
