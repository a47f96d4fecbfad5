"""`ceae runs`: the store of runs."""

import argparse
from pathlib import Path
from typing import Any

from ceae_core.cli.output import show, table
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError

LISTED = ("rec_nats_per_sentence", "kl_nats", "ppl_word", "active_units", "nll_iw_nats")


def add(command: Command) -> None:
    """Put this command into the parser."""
    made = command("runs", runs, "list runs, verify their files, prune what is unfinished or damaged, record results")
    made.add_argument("action", choices=("list", "verify", "prune", "record"))
    made.add_argument("name", nargs="?", metavar="RUN", help="the run to record")
    made.add_argument("--results", metavar="DIR", default="results", help="where `record` writes (default: results/)")


def runs(options: argparse.Namespace) -> int:
    """One of the four actions; status 1 when `verify` found damage."""
    from ceae_core.runs import Store
    store = Store(options.runs)
    if options.action == "record":
        from ceae_core.report.recorded import record
        if not options.name:
            raise CeaeError("runs record: name the run")
        path = record(store.find(options.name), Path(options.results))
        show(options, {"recorded": str(path)}, [f"recorded in {path}"])
        return 0
    if options.action == "prune":
        gone, size = store.prune()
        show(options, {"removed": gone, "bytes": size}, [f"removed {len(gone)} folders, {size / 1e6:.1f} MB", *gone])
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
    lines = table(list(rows[0]), [list(row.values()) for row in rows]) if rows else [f"no runs in {store.root}"]
    show(options, {"runs": rows, "damaged": damaged}, lines)
    return 1 if options.action == "verify" and damaged else 0
