"""The `ceae` command: thin, one clear line per error, progress on stderr, results on stdout."""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ceae_core import __version__
from ceae_core.errors import CeaeError

LISTED = ("rec_nats_per_sentence", "kl_nats", "ppl_word", "active_units", "nll_iw_nats")      # by `ceae runs list`
EXIT_USAGE, EXIT_DIVERGED, EXIT_PREEMPTED = 2, 1, 75


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 (diverged, damaged), 2 (bad input), 75 (stopped, resumable)."""
    options = _parser().parse_args(arguments)
    from ceae_core.training import Preempted
    try:
        with _sigterm_interrupts():
            status = options.run(options) or 0
            sys.stdout.flush()
            return status
    except CeaeError as error:
        print(f"ceae: {error}", file=sys.stderr)
        return EXIT_USAGE
    except Preempted as stopped:
        print(f"ceae: {stopped}; checkpoint written, repeat the command to continue", file=sys.stderr)
        return EXIT_PREEMPTED
    except KeyboardInterrupt:
        print("ceae: stopped", file=sys.stderr)
        return EXIT_PREEMPTED
    except BrokenPipeError:                             # the reader of stdout has left, as in `ceae runs list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"ceae: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        return EXIT_USAGE


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Inside the block SIGTERM does what Ctrl-C does; a training in its loop handles both itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"ceae: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ceae", description="Train and measure text autoencoders of the ceae-book.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--runs", metavar="DIR", help="folder of runs (default: $CEAE_RUNS or runs/)")
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")

    def command(name: str, run: Callable, summary: str, **more: Any) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[common], help=summary, description=summary, **more)
        made.set_defaults(run=run)
        return made

    command("zoo", _zoo, "list the families: citation, rows of the papers' tables, options")

    data = command("data", _data, "list the corpora, or fetch one")
    data.add_argument("action", nargs="?", choices=("list", "fetch"), default="list")
    data.add_argument("name", nargs="?", help="corpus to fetch")
    data.add_argument("--data", metavar="DIR", help="folder of corpora (default: $CEAE_DATA)")

    train = command("train", _train, "train a family, or continue, or load what is complete")
    train.add_argument("family")
    train.add_argument("--corpus", default="oracle", help="a corpus by name, a text file, or a folder with three files")
    train.add_argument("--scale", default="quick", help="smoke, quick, laptop or paper")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--data", metavar="DIR", help="folder of corpora (default: $CEAE_DATA)")
    for split in ("train", "valid", "test"):
        train.add_argument(f"--{split}", metavar="FILE", help=f"the {split} split, one sentence a line")
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option or setting")
    train.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    train.add_argument("--no-wait", action="store_true", help="leave at once if another process trains this run")
    train.add_argument("--checkpoint-seconds", type=float, default=60.0, metavar="S",
                       help="at most this much work is lost by a kill")

    measured = command("measure", _measure, "measure a run again, on its test split")
    measured.add_argument("name", metavar="RUN")
    measured.add_argument("--iw-samples", type=int, help="S of the importance-weighted bound")
    measured.add_argument("--iw-sentences", type=int, help="test sentences of that bound")
    measured.add_argument("--iw-refine", type=int, help="gradient steps per sentence for a refined proposal; 0: none")
    measured.add_argument("--data", metavar="DIR", help="folder where the files of its corpus are now")
    measured.add_argument("--device", default="auto")

    sampled = command("sample", _sample, "draw sentences from the prior of a run")
    sampled.add_argument("name", metavar="RUN")
    sampled.add_argument("-n", type=int, default=10, help="how many")
    sampled.add_argument("--decode", choices=("greedy", "multinomial"), default="greedy")
    sampled.add_argument("--temperature", type=float, default=1.0)
    sampled.add_argument("--max-length", type=int, default=100)
    sampled.add_argument("--seed", type=int, default=0)
    sampled.add_argument("--out", metavar="FILE", help="write there, one sentence a line (default: stdout)")
    sampled.add_argument("--device", default="auto")

    runs = command("runs", _runs, "list runs, verify their files, prune what is unfinished or damaged, record results")
    runs.add_argument("action", choices=("list", "verify", "prune", "record"))
    runs.add_argument("name", nargs="?", metavar="RUN", help="the run to record")
    runs.add_argument("--results", metavar="DIR", default="results", help="where `record` writes (default: results/)")

    book = command("book", _book, "run the chapters of the book that changed; the rest of the line goes to the runner",
                   add_help=False)
    book.add_argument("arguments", nargs=argparse.REMAINDER)

    spec = commands.add_parser("run-spec", parents=[common], help="train the specification read from stdin")
    spec.add_argument("--device", default="auto")
    spec.set_defaults(run=_run_spec)
    return parser


def _store(options: argparse.Namespace):
    from ceae_core.runs import Store
    return Store(options.runs)


def _print(options: argparse.Namespace, result: dict[str, Any], lines: list[str]) -> None:
    print(json.dumps(result) if options.json else "\n".join(lines))


def _table(header: list[str], rows: list[list[Any]]) -> list[str]:
    """Plain aligned columns."""
    texts = [header, *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[k]) for row in texts) for k in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]


def _text(cell: Any) -> str:
    return "–" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _zoo(options: argparse.Namespace) -> None:
    from ceae_core.zoo import FAMILIES
    result = {name: {"title": row.title, "cite": list(row.cite), "options": row.defaults(),
                     "settings": dict(row.settings),
                     "paper_rows": {key: dict(value) for key, value in row.rows.items()}}
              for name, row in FAMILIES.items()}
    lines, width = [], max(map(len, FAMILIES))
    for name, row in FAMILIES.items():
        lines.append(f"{name:{width}} {row.title} [{', '.join(row.cite)}]")
        known = ", ".join(f"{k}={v}".lower() for k, v in row.defaults().items())
        lines.append(f"{'':{width}} options: {known or 'none'}")
        rows = [key.rstrip(":") + (f"  ({' '.join(f'--set {k}={v}' for k, v in change.items())})" if change else "")
                for key, change in row.rows.items()]
        lines += [f"{'':{width}} {'rows:   ' if i == 0 else '        '} {text}" for i, text in enumerate(rows)]
    _print(options, {"families": result}, lines)


def _data(options: argparse.Namespace) -> None:
    from ceae_core import corpora
    if options.action == "fetch":
        if not options.name:
            raise CeaeError("data fetch: name the corpus, for example `ceae data fetch ptb`")
        path = corpora.fetch(options.name, options.data)
        return _print(options, {"corpus": options.name, "folder": str(path)}, [f"{options.name}: complete in {path}"])
    rows = corpora.describe(options.data)
    return _print(options, {"corpora": rows}, _corpora_lines(rows))


def _corpora_lines(rows: list[dict]) -> list[str]:
    short = [[row["name"], row["train"], row["valid"], row["test"],
              "here" if row["ready"] else f"{len(row['missing'])} missing", row["unknown"], row["labels"]]
             for row in rows]
    return [*_table(["corpus", "train", "valid", "test", "files", "unknown", "labels"], short),
            "", "Licences and sources: ceae data list --json, or the chapter on corpora."]


def _book(options: argparse.Namespace) -> int:
    from ceae_core.book import chapters
    return chapters.main(options.arguments)


def _train(options: argparse.Namespace) -> int:
    from ceae_core.execute import obtain
    from ceae_core.spec import resolve
    changes = {}
    for item in options.set:
        name, equals, value = item.partition("=")
        if not equals:
            raise CeaeError(f"--set {item}: write NAME=VALUE")
        changes[name.strip()] = value.strip()
    spec = resolve(options.family, options.corpus, options.scale, options.seed, set=changes, data=options.data,
                   train=options.train, valid=options.valid, test=options.test)
    run = obtain(spec, _store(options), device=options.device, wait=not options.no_wait,
                 checkpoint_seconds=options.checkpoint_seconds)
    return _show_run(options, run)


def _run_spec(options: argparse.Namespace) -> int:
    from ceae_core.execute import obtain
    from ceae_core.spec import RunSpec
    run = obtain(RunSpec.from_json(sys.stdin.read()), _store(options), device=options.device)
    return _show_run(options, run, exit_diverged=0)


def _show_run(options: argparse.Namespace, run, exit_diverged: int = EXIT_DIVERGED) -> int:
    record = run.record
    result = {"run": run.id, "folder": str(run.folder), "status": run.status, "metrics": record["metrics"],
              "best_epoch": record["best_epoch"], "train_seconds": record["train_seconds"]}
    lines = [f"run {run.id} ({run.status})", *_metric_lines(record["metrics"])]
    _print(options, result, lines)
    if run.status == "diverged":
        print(f"ceae: {record['reason']}; kept as diverged, try a smaller --set lr=…", file=sys.stderr)
        return exit_diverged
    return 0


def _metric_lines(metrics: dict[str, Any]) -> list[str]:
    return [f"  {name:26} {_text(value)}" for name, value in metrics.items()]


def _measure(options: argparse.Namespace) -> None:
    from ceae_core.execute import remeasure
    run = _store(options).find(options.name)
    metrics = remeasure(run, iw_samples=options.iw_samples, iw_sentences=options.iw_sentences,
                        iw_refine=options.iw_refine, data=options.data, device=options.device)
    _print(options, {"run": run.id, "metrics": metrics}, [f"run {run.id}", *_metric_lines(metrics)])


def _sample(options: argparse.Namespace) -> None:
    from ceae_core import generate
    from ceae_core.hardware import choose_device
    from ceae_core.manifest import DIVERGED
    if options.n < 1 or options.max_length < 1:
        raise CeaeError("sample: -n and --max-length must be at least 1")
    run = _store(options).find(options.name)
    if run.status == DIVERGED:
        raise CeaeError(f"run {run.id}: it diverged, there is no model to sample from")
    drawn = generate.sample(run.model(choose_device(options.device)), run.vocabulary(), options.n, how=options.decode,
                            seed=options.seed, temperature=options.temperature, max_length=options.max_length)
    sentences = [" ".join(sentence) for sentence in drawn]
    if options.out:
        path = Path(options.out)
        try:
            path.write_text("".join(f"{s}\n" for s in sentences), encoding="utf-8")
        except OSError as error:
            raise CeaeError(f"--out {path}: cannot be written ({error.strerror}); choose another file") from error
        _print(options, {"run": run.id, "out": str(path), "sentences": len(sentences)},
               [f"{len(sentences)} sentences written to {path}"])
    else:
        _print(options, {"run": run.id, "sentences": sentences}, sentences)


def _runs(options: argparse.Namespace) -> int:
    store = _store(options)
    if options.action == "record":
        from ceae_core.report.recorded import record
        if not options.name:
            raise CeaeError("runs record: name the run")
        path = record(store.find(options.name), Path(options.results))
        _print(options, {"recorded": str(path)}, [f"recorded in {path}"])
        return 0
    if options.action == "prune":
        gone, size = store.prune()
        _print(options, {"removed": gone, "bytes": size}, [f"removed {len(gone)} folders, {size / 1e6:.1f} MB", *gone])
        return 0
    rows, damaged = [], 0
    for run_id in store.ids():
        metrics: dict[str, Any] = {}
        try:
            run = store.open(run_id)
            status, problem = (run.status, None) if run else ("empty", None)
            metrics = run.metrics if status == "complete" else {}
        except CeaeError as error:
            status, problem, damaged = "damaged", str(error), damaged + 1
        rows.append({"run": run_id, "status": status, "problem": problem})
        if options.action == "list":
            rows[-1] |= {name: metrics.get(name) for name in LISTED}
    header = list(rows[0]) if rows else ["run"]
    lines = _table(header, [list(row.values()) for row in rows]) if rows else [f"no runs in {store.root}"]
    _print(options, {"runs": rows, "damaged": damaged}, lines)
    return 1 if options.action == "verify" and damaged else 0


if __name__ == "__main__":
    raise SystemExit(main())
