"""`ceae sweep`: many runs from one file."""

import argparse
import json
import shlex
import sys

from ceae_core.cli.output import show
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError

EXIT_FAILED = 1
ENGINES = ("processes", "serial", "ray", "print")


def add(command: Command) -> None:
    """Put the command into the parser."""
    made = command("sweep", sweep, "train what a sweep's file names and the folder of runs lacks")
    made.add_argument("file", help="TOML: scale, families, corpora, seeds, set, [[more]]")
    made.add_argument("--engine", choices=ENGINES, default="processes",
                      help="one process per run (default), all in this one, Ray, or print a command per run")
    made.add_argument("--workers", type=int, default=None, help="runs at a time (default: the cores; 1 on a GPU)")
    made.add_argument("--address", help="of a Ray cluster that shares the folder of runs (default: started here)")
    made.add_argument("--gpus", type=float, default=0.0, help="share of a GPU per run on Ray, as 0.25 (default: none)")
    made.add_argument("--data", metavar="DIR", help="folder of corpora (default: $CEAE_DATA)")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")


def sweep(options: argparse.Namespace) -> int:
    """Train the runs of a file; exit status 1 if one failed."""
    from ceae_core.runs import Store
    from ceae_core.sweep import driver, grid
    from ceae_core.sweep.display import shown
    if options.engine != "ray" and (options.address or options.gpus):
        raise CeaeError("sweep: --address and --gpus belong to --engine ray")
    if options.gpus < 0:
        raise CeaeError(f"sweep: --gpus must not be negative, it is {options.gpus:g}")
    if options.workers is not None and options.workers < 1:
        raise CeaeError(f"sweep: --workers must be at least 1, not {options.workers}")
    store, jobs = Store(options.runs), grid.jobs(options.file, options.data)
    held = {job.id: run for job in jobs if (run := store.finished(job.id))}
    todo = [job for job in jobs if job.id not in held]
    if options.engine == "print":
        more = ["--runs", str(store.root), "--device", options.device]
        for job in todo:
            print(json.dumps({"run": job.id, "command": ["ceae", *job.arguments, *more]}) if options.json
                  else shlex.join(["ceae", *job.arguments, *more]))
        return 0
    if not todo:
        return _tell(options, jobs, held, {})
    engine = _engine(options, store)
    with shown(len(todo), len(held)) as tell:
        finished = driver.train([job.spec for job in todo], engine, tell)
    return _tell(options, jobs, held, {each.run_id: each for each in finished})


def _engine(options: argparse.Namespace, store):
    from ceae_core.sweep import engines
    if options.engine == "serial":
        return engines.Serial(store, options.device)
    if options.engine == "ray":
        from ceae_core.sweep.on_ray import OnRay
        return OnRay(store, options.device, cpus=options.workers, gpus=options.gpus, address=options.address)
    return engines.Processes(store, options.device, options.workers or engines.slots(options.device))


def _tell(options: argparse.Namespace, jobs: list, held: dict, finished: dict) -> int:
    """What became of every run, in the order of the file."""
    from ceae_core.manifest import COMPLETE
    from ceae_core.sweep.policy import DONE
    rows = []
    for job in jobs:
        row = {"run": job.id, "family": job.spec.family, "corpus": job.spec.corpus, "seed": job.spec.seed}
        if job.id in held:
            run = held[job.id]
            rows.append(row | {"status": DONE if run.status == COMPLETE else run.status, "was_there": True,
                               "attempts": 0, "seconds": 0.0, "why": run.record["reason"] or ""})
        else:
            each = finished[job.id]
            rows.append(row | {"status": each.ending.how, "was_there": False, "attempts": each.attempts,
                               "seconds": round(each.seconds, 1), "why": each.why})
    failed = [row for row in rows if row["status"] != DONE]
    trained = sum(row["status"] == DONE and not row["was_there"] for row in rows)
    counts = {"runs": len(rows), "trained": trained, "there_before": len(held), "failed": len(failed)}
    show(options, counts | {"results": rows},
         [f"{len(rows)} runs: {trained} trained, {len(held)} there before, {len(failed)} failed"])
    for row in failed:
        print(f"ceae: {row['run']}: {row['status']}{': ' * bool(row['why'])}{row['why']}", file=sys.stderr)
    return EXIT_FAILED if failed else 0
