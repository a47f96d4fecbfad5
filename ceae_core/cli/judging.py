"""`ceae sheet` and `ceae judge`: which of several models writes better, asked of people or of a language model."""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from ceae_core.cli.output import show, table
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError

REPEAT = "repeat the command to continue"


def add(command: Command) -> None:
    """Put these commands into the parser."""
    made = command("sheet", sheet, "make a blinded sheet from samples of runs, or score the answers to one")
    actions = made.add_subparsers(dest="action", required=True, metavar="make|score")
    # given behind the action, too; SUPPRESS leaves a value given before it alone
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--runs", metavar="DIR", help="folder of runs (default: $CEAE_RUNS or runs/)")
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    make = actions.add_parser("make", parents=[common], help="draw candidates, write sheet.csv, form.html and key.json")
    make.add_argument("names", nargs="*", metavar="RUN")
    make.add_argument("--text", action="append", default=[], metavar="NAME=FILE",
                      help="candidates of another model: one a line")
    make.add_argument("--items", type=int, default=200, metavar="N")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--out", required=True, metavar="DIR")
    make.add_argument("--decode", choices=("greedy", "multinomial"), default="multinomial")
    make.add_argument("--temperature", type=float, default=1.0)
    make.add_argument("--max-length", type=int, default=100)
    make.add_argument("--device", default="auto")
    make.add_argument("--allow-equal", action="store_true", help="candidates of one item may be the same sentence")
    score = actions.add_parser("score", parents=[common], help="shares of choices, intervals, tests, agreement")
    score.add_argument("folder", metavar="DIR")
    score.add_argument("files", nargs="+", metavar="ANSWERS", help="one or several CSV files")
    score.add_argument("--partial", action="store_true", help="count what there is, though items are open")

    made = command("judge", judge, f"have a language model fill a sheet; its key comes from {_variable()} only")
    made.add_argument("folder", metavar="DIR", help="what `ceae sheet make` wrote")
    made.add_argument("--endpoint", metavar="URL", help="an OpenAI-compatible address, https://host/v1")
    made.add_argument("--model", metavar="NAME", help="as the endpoint names it, best with its version")
    made.add_argument("--variant", choices=("paper", "debiased"), default="paper",
                      help="ask each item once, as the paper, or in every rotation of its candidates")
    made.add_argument("--concurrency", type=int, default=4, metavar="N", help="questions at once")
    made.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds that an attempt may take")
    made.add_argument("--attempts", type=int, default=6, metavar="N", help="at one question")
    made.add_argument("--backoff", type=float, default=1.0, metavar="S", help="first pause before a new attempt")
    made.add_argument("--temperature", type=_temperature, default=0.0, metavar="T",
                      help="of the model; `none` leaves it to the endpoint")
    made.add_argument("--max-tokens", type=int, metavar="N", help="longest reply; left to the endpoint by default")
    made.add_argument("--dry-run", action="store_true", help="ask nothing: count questions, estimate tokens and cost")
    made.add_argument("--price-in", type=float, metavar="P", help="per million tokens asked, for the estimate")
    made.add_argument("--price-out", type=float, metavar="P", help="per million tokens answered")
    made.add_argument("--stand-in", choices=("word", "sentence"), help="no model: the likelihood under the grammar of "
                      "the oracle corpus, per word or per sentence")


def _variable() -> str:
    from ceae_core.preference.client import VARIABLE
    return VARIABLE


def _temperature(text: str) -> float | None:
    return None if text == "none" else float(text)


def sheet(options: argparse.Namespace) -> None:
    """One of the two actions."""
    (_make if options.action == "make" else _score)(options)


# sheets --------------------------------------------------------------------------------------------------------------

def _make(options: argparse.Namespace) -> None:
    from ceae_core.preference import drawing, folder
    from ceae_core.runs import Store
    if options.max_length < 1:
        raise CeaeError("sheet make: --max-length must be at least 1")
    runs = [Store(options.runs).find(name) for name in options.names]
    made = drawing.sheet_of(runs, options.items, options.seed, texts=dict(map(_labelled, options.text)),
                            how=options.decode, temperature=options.temperature, max_length=options.max_length,
                            device=options.device, allow_equal=options.allow_equal)
    out = Path(options.out)
    written = folder.write(made, out)
    distinct = made.distinct()
    show(options, {"sheet": made.id, "folder": str(out), "items": len(made.items), "written": written,
                   "models": [{"model": name, "run": run, "distinct": distinct[name]}
                              for name, run in zip(made.models, made.runs, strict=True)]},
         [f"sheet {made.id} in {out}: {len(made.items)} items, " +
          (f"wrote {', '.join(written)}" if written else "already complete, nothing changed"),
          *(f"  {name}: {distinct[name]} different candidates" for name in made.models),
          f"Give {folder.FORM} or {folder.SHEET} to the raters and keep {folder.KEY}, which names the models."])


def _labelled(item: str) -> tuple[str, list[str]]:
    name, equals, path = item.partition("=")
    if not equals or not name or not path:
        raise CeaeError(f"--text {item}: write NAME=FILE")
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CeaeError(f"--text {item}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise CeaeError(f"--text {item}: is not UTF-8; save it as UTF-8") from error
    return name, [line for line in lines if line.strip()]


def _score(options: argparse.Namespace) -> None:
    from ceae_core.preference import answers, folder, summary
    loaded = folder.load(Path(options.folder))
    found = summary.of(answers.read([Path(name) for name in options.files], loaded, partial=options.partial))
    show(options, found, lines(found))


def lines(found: dict[str, Any]) -> list[str]:
    """A summary for a terminal."""
    head = (f"sheet {found['sheet']}: {found['answers']} answers to {found['items']} items by "
            f"{'; '.join(found['raters'])}" + (f"; {found['open']} open" if found["open"] else ""))
    if not found["shares"]:
        return [head]
    rows = [[s["model"], s["answers"], _percent(s["share"]), f"{_percent(s['low'])} to {_percent(s['high'])}",
             _p(s["p_chance"])] for s in found["shares"].values()]
    pairs = [[f"{pair['first']} - {pair['second']}", f"{100 * pair['difference']:+.1f}", _p(pair["p"]),
              _p(pair["p_holm"])] for pair in found["pairs"]]
    positions, needed, kappa = found["positions"], found["answers_needed"], found["fleiss_kappa"]
    places = ", ".join(f"{count} at {place}" for place, count in enumerate(positions["answers"], 1))
    return [
        head, "",
        *table(["model", "answers", "share", f"{found['interval_level']:.0%} interval", "p against chance"], rows), "",
        *table(["difference", "points", "p", "p (Holm)"], pairs), "",
        f"all equally good?  p = {_p(found['chance']['p'])} ({found['chance']['test']}, independent answers)",
        f"positions chosen: {places}; p = {_p(positions['p'])} ({positions['test']})",
        *([f"agreement: Fleiss' kappa {kappa:.2f}; design effect {found['design_effect']:.2f}"]
          if kappa is not None else []),
        f"a difference of {100 * needed['difference']:.0f} points takes {needed['independent_answers']} independent "
        f"answers (power {needed['power']:.0%}, level {needed['alpha']:.0%})"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


# a judge -------------------------------------------------------------------------------------------------------------

def judge(options: argparse.Namespace) -> int:
    """Fill a sheet by a language model, or by the stand-in; status 75 when questions remain."""
    from ceae_core.preference import folder
    if (options.stand_in is None) == (options.endpoint is None):
        raise CeaeError("judge: give --endpoint with --model, or --stand-in")
    where = Path(options.folder)
    loaded = folder.load(where)
    if options.stand_in:
        from ceae_core.critics import oracle
        from ceae_core.preference import standin
        return _report(options, where, loaded, standin.answers(loaded, oracle.default(), options.stand_in), {})
    return _ask(options, where, loaded)


def _ask(options: argparse.Namespace, where: Path, loaded: Any) -> int:
    from ceae_core.cli import EXIT_PREEMPTED
    from ceae_core.preference import client, cost
    from ceae_core.preference import judge as judging
    from ceae_core.preference.answerlog import AnswerLog
    _check(options)
    sent = {"temperature": options.temperature, "max_tokens": options.max_tokens}
    sent = {name: value for name, value in sent.items() if value is not None}
    endpoint = client.address(options.endpoint)
    if options.dry_run:
        asked = judging.questions(loaded, options.variant, options.model, sent)
        known = AnswerLog(where / judging.LOG).entries
        rest = [question for question in asked if question.key not in known]
        found = {"dry_run": True, "sheet": loaded.id, "model": options.model, "endpoint": endpoint,
                 "variant": options.variant, "questions": len(asked), "answered": len(asked) - len(rest),
                 **cost.estimate(rest, options.price_in, options.price_out, options.max_tokens or cost.ANSWER_TOKENS)}
        price = found["cost_estimate"]
        show(options, found, [
            f"{found['requests']} requests to {options.model} at {endpoint} ({found['answered']} of "
            f"{found['questions']} questions are answered already)",
            f"about {found['prompt_tokens_estimate']:,} tokens asked and {found['answer_tokens_estimate']:,} answered, "
            "a rough estimate",
            "cost: give --price-in and --price-out" if price is None else
            f"about {price:.4f} in the currency of the prices"])
        return 0
    asks = client.Client(endpoint, options.model, timeout=options.timeout, attempts=options.attempts,
                         backoff=options.backoff, options=sent)
    try:
        new = judging.fill(where, loaded, asks, options.variant, concurrency=options.concurrency)
        found = judging.judged(where, loaded, options.variant, options.model, sent)
    except judging.Incomplete as rest:
        print(f"ceae: {rest}; {REPEAT}", file=sys.stderr)
        return EXIT_PREEMPTED
    except KeyboardInterrupt:
        print(f"ceae: stopped; replies so far are kept, {REPEAT}", file=sys.stderr)
        return EXIT_PREEMPTED
    return _report(options, where, loaded, found.answers(), {
        "model": options.model, "answered_as": list(found.models), "endpoint": endpoint, "variant": options.variant,
        "asked_now": new, **found.order_effects()})


def _check(options: argparse.Namespace) -> None:
    if not options.model:
        raise CeaeError("judge: name the model by --model")
    for name in ("concurrency", "timeout", "attempts", "max_tokens"):
        value = getattr(options, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise CeaeError(f"--{name.replace('_', '-')}: must be positive, not {value}")
    for name in ("backoff", "price_in", "price_out"):
        value = getattr(options, name)
        if value is not None and not (value >= 0 and math.isfinite(value)):
            raise CeaeError(f"--{name.replace('_', '-')}: must not be negative, it is {value}")


def _report(options: argparse.Namespace, where: Path, loaded: Any, given: Any, about: dict[str, Any]) -> int:
    """Write the answers as those of a rater, and say what they come to."""
    from ceae_core.preference import answers, summary
    path = answers.write(given, where)
    found = {"judge": {"name": given.raters[0], **about}, "answers_file": str(path), **summary.of(given)}
    effects = [] if "consistent" not in about else [
        f"{about['questions']} questions, {about['unparsable']} replies name no candidate, "
        f"{about['undecided_items']} items are undecided",
        f"positions replied: {', '.join(map(str, about['positions']))}; p = {_p(about['p'])} ({about['test']})" + (
            "" if about["consistent"] is None else f"; same choice in every order: {_percent(about['consistent'])}")]
    show(options, found, [*lines(found), *effects, f"answers: {path}"])
    return 0
