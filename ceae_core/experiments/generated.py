"""Samples of runs and what critics say of them, each computed once: `critics.perplexity` behind the store."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from ceae_core import experiments
from ceae_core.critics import kind
from ceae_core.critics.perplexity import Protocol, draw, judge, true_samples
from ceae_core.errors import NotRun
from ceae_core.execute import ensure
from ceae_core.hardware import cpu_threads
from ceae_core.measure.diversity import diversity
from ceae_core.runs import Run, Store
from ceae_core.spec import RunSpec

SAMPLES, PERPLEXITY = "samples", "perplexity"
VERSION = 1                         # raise it when a change of the code alters the numbers
Judged = Mapping[str, Any]          # `forward`, `reverse`, `diversity`; see `critics.perplexity.measure`


@dataclass(frozen=True)
class Wanted:
    """Samples of a run under a protocol; with `is_true`, text that a perfect model of its corpus would sample."""

    spec: RunSpec
    protocol: Protocol
    is_true: bool = False

    @property
    def source(self) -> dict[str, Any]:
        return {"run_id": self.spec.id, "is_true": self.is_true}

    def judging(self) -> dict[str, Any]:
        """Parameters of `judge_samples`."""
        return self.source | asdict(self.protocol)

    def drawing(self) -> dict[str, Any]:
        """Parameters of `draw_samples`: what of the protocol concerns them."""
        chosen = ("decode", "temperature", "seed", "max_length")
        return self.source | {name: getattr(self.protocol, name) for name in chosen} | {
            "count": max(self.protocol.forward, self.protocol.reverse)}

    @property
    def id(self) -> str:
        return experiments.identity(PERPLEXITY, VERSION, self.judging())


def obtain(wanted: Sequence[Wanted], *, store: Store | None = None, data: str | None = None, device: str = "auto",
           ) -> list[Judged]:
    """One result for each, of this machine or computed now; what is missing, runs included, is made side by side.

    A critic that cannot be had here says `not_run`, and that is not kept.  Raises CeaeError for a run that diverged.
    """
    store = store or Store()
    for run in ensure(list({each.spec.id: each.spec for each in wanted}.values()), store, device=device):
        run.require("is no model to sample from")
    obstacles = {p: _obstacle(p, store, device) for p in {each.protocol for each in wanted}}
    where = {"root": str(store.root), "data": data, "device": device}
    drawings = [each.drawing() for each in wanted]
    drawn = experiments.obtain_each(SAMPLES, partial(draw_samples, **where),
                                    [d for i, d in enumerate(drawings) if d not in drawings[:i]], version=VERSION,
                                    store=store)
    able = [each for each in wanted if not obstacles[each.protocol]]
    judged = experiments.obtain_each(PERPLEXITY, partial(judge_samples, **where), [each.judging() for each in able],
                                     version=VERSION, store=store)
    found = {content["id"]: content["result"] for content in judged}
    samples = {content["id"]: content["result"] for content in drawn}
    return [found[each.id] if each.id in found else
            {direction: {"not_run": obstacles[each.protocol]} for direction in ("forward", "reverse")}
            | {"diversity": samples[experiments.identity(SAMPLES, VERSION, drawing)]["diversity"]}
            for each, drawing in zip(wanted, drawings, strict=True)]


def _obstacle(protocol: Protocol, store: Store, device: str) -> str:
    """Why a critic that comes as it is cannot be had here; empty if it can."""
    given = kind(protocol.critic).given
    try:
        if given:
            given(protocol.options(store, device))
    except NotRun as reason:
        return str(reason)
    return ""


def draw_samples(*, run_id: str, is_true: bool, count: int, decode: str, temperature: float, seed: int,
                 max_length: int, root: str, data: str | None, device: str) -> dict[str, Any]:
    """`sentences`, words joined by spaces, and their `diversity`."""
    run = Store(root).find(run_id)
    protocol = Protocol(decode=decode, temperature=temperature, seed=seed, max_length=max_length, forward=1,
                        reverse=count)
    with cpu_threads(1):
        found = (true_samples(_spec(run, data).load_corpus(), protocol) if is_true else draw(run, protocol, device))
    return {"sentences": [" ".join(sentence) for sentence in found], "diversity": diversity(found, seed=seed)}


def judge_samples(*, run_id: str, is_true: bool, root: str, data: str | None, device: str, **protocol: Any) -> Judged:
    """`judge` and the `diversity` of the samples that a protocol draws."""
    run, chosen, store = Store(root).find(run_id), Protocol(**protocol), Store(root)
    drawn = experiments.obtain(SAMPLES, partial(draw_samples, root=root, data=data, device=device),
                               Wanted(run.spec, chosen, is_true).drawing(), version=VERSION, store=store)["result"]
    sentences = [tuple(sentence.split()) for sentence in drawn["sentences"]]
    return {"diversity": drawn["diversity"]} | judge(sentences, _spec(run, data).load_corpus(), chosen, store=store,
                                                     device=device)


def _spec(run: Run, data: str | None) -> RunSpec:
    return run.spec.moved_to(data) if data else run.spec
