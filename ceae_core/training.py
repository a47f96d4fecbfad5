"""The training loop: epochs, learning-rate rules, the best model on validation, checkpoints that resume exactly.

Each step seeds torch from (run seed, step number), so a checkpoint holds no generator state: model, optimiser, momentum
encoder, counters and running sums are all there is, and a resumed run repeats the uninterrupted one bit for bit on CPU.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ceae_core import zoo
from ceae_core.assembly import build_model, build_terms
from ceae_core.corpora import Corpus, Vocabulary
from ceae_core.corpora.batching import Encoded, plan
from ceae_core.errors import CeaeError
from ceae_core.hardware import cpu_threads
from ceae_core.manifest import Corrupt
from ceae_core.measure.implicit import divergences
from ceae_core.measure.likelihood import rec_and_kl
from ceae_core.options import bind
from ceae_core.progress import bar, say
from ceae_core.schedules import Clock, lr_factor
from ceae_core.seeding import derive, seeded
from ceae_core.spec import RunSpec

CHECK_EVERY = 50            # steps between two looks for NaN
WATCHED = 1000              # validation sentences on which the critics' estimates are followed
VARIANCE_FLOOR = 100        # times batch norm's epsilon: below it the norm no longer fixes the variance of the code


class Diverged(Exception):
    """A loss became NaN or infinite."""


class Preempted(Exception):
    """SIGTERM or SIGINT arrived; the checkpoint is written."""


class Training:
    """One run in progress.  `state()` and `restore()` are all that a checkpoint needs."""

    def __init__(self, spec: RunSpec, corpus: Corpus, vocabulary: Vocabulary, device: torch.device) -> None:
        self.spec, self.settings, self.device = spec, spec.settings, device
        self.family = zoo.family(spec.family)
        self.take_step = bind(self.family.step, spec.options)
        self.vocabulary = vocabulary
        self.train_set = Encoded(corpus.splits["train"].sentences, vocabulary)
        self.valid_set = Encoded(corpus.splits["valid"].sentences, vocabulary)
        with seeded(spec.seed, "init"):
            self.model = build_model(spec, vocabulary).to(device)
            self.terms, self.stateful = build_terms(spec, self.model)
        self.lr = self.settings.lr
        self.optimiser, self.critic_optimiser = self._optimiser(), self._critic_optimiser()
        self.batches = self._plan(0)
        if not self.batches:
            raise CeaeError(f"{spec.id}: no batch of {len(self.train_set)} training sentences has the two rows that "
                            "this family needs; set batching=random or give more text")
        self.steps_per_epoch = len(self.batches)
        self.epoch = self.position = self.step = 0
        self.decays = self.bad_epochs = 0
        self.finished = False
        self.best, self.best_value, self.best_epoch = self._weights(), math.inf, -1
        self.totals: dict[str, torch.Tensor] = {}
        self.history: list[dict] = []
        self.memory: dict[str, float] = {}                  # what a step remembers: numbers and flags by name

    # what happens in a step -------------------------------------------------------------------------------------

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.settings.precision == "bf16")

    def clock(self) -> Clock:
        return self._clock(self.step)

    def _clock(self, step: int) -> Clock:
        total = self.steps_per_epoch * self.settings.epochs
        lead = round(self.spec.options.get("decoder_epochs", 0) * self.steps_per_epoch)
        return Clock(step, self.steps_per_epoch, self.settings.schedule_unit, lead, total)

    def descend(self, loss: torch.Tensor, move: Iterable[torch.nn.Parameter] | None = None) -> None:
        """Gradient, clipping, one optimiser step of all weights, or of those in `move`, clipped with the others."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr * self._lr_factor()
        self.optimiser.zero_grad(set_to_none=True)
        weights = self.model.own_parameters()
        loss.backward(inputs=weights)
        for clipped in (weights,) if self.settings.clip_scope == "joint" else self.model.sides():
            torch.nn.utils.clip_grad_norm_(clipped, self.settings.clip)
        if move is not None:
            moving = set(map(id, move))
            for weight in weights:
                weight.grad = weight.grad if id(weight) in moving else None
        self.optimiser.step()

    def descend_critics(self, loss: torch.Tensor) -> None:
        """One optimiser step of the critics, unclipped (Implicit-LVM)."""
        self.critic_optimiser.zero_grad(set_to_none=True)
        loss.backward(inputs=list(self.model.critics.parameters()))
        self.critic_optimiser.step()

    def _optimiser(self) -> torch.optim.Optimizer:
        weights = self.model.own_parameters()
        if self.settings.optimiser == "adam":
            return torch.optim.Adam(weights, self.lr, fused=True)
        return torch.optim.SGD(weights, self.lr)

    def _critic_optimiser(self) -> torch.optim.Optimizer | None:
        if self.model.critics is None:
            return None
        return torch.optim.Adam(self.model.critics.parameters(), self.model.critics.lr, fused=True)

    def _lr_factor(self) -> float:
        rule, clock = self.settings, self.clock()
        if clock.step < clock.lead:
            return 1.0
        return lr_factor(rule.decay, clock.step - clock.lead, clock.total - clock.lead, warmup_steps=rule.warmup_steps,
                         end=rule.lr_end / rule.lr)

    def _plan(self, epoch: int) -> list:
        batches = plan(self.train_set.lengths, self.settings.batch_size, self.settings.batching, self.spec.seed, epoch)
        smallest = max([self.model.smallest_batch, *(term.smallest_batch for term in self.stateful.values())])
        return [rows for rows in batches if len(rows) >= smallest]

    # the loop ---------------------------------------------------------------------------------------------------

    def run(self, save: Callable[["Training"], None], checkpoint_seconds: float = 60.0) -> None:
        """Train to the end, calling `save` at least every `checkpoint_seconds` and after each epoch.

        Raises Preempted (after saving) on SIGTERM or SIGINT, Diverged when a loss is no longer finite.
        """
        total = self.steps_per_epoch * self.settings.epochs
        with (bar(total, f"train {self.spec.id}", self.step) as shown, seeded(self.spec.seed, "train"),
              cpu_threads(self.settings.threads), _stop_signal() as stop):
            saved = time.monotonic()
            while not self.finished:
                self._one_step()
                shown.update(1)
                if self.position == len(self.batches):
                    self._end_epoch()
                    shown.set_postfix_str(self._headline())
                    due = True
                else:
                    due = time.monotonic() - saved > checkpoint_seconds
                if due or stop.is_set():
                    self._check_finite()
                    save(self)
                    saved = time.monotonic()
                if stop.is_set():
                    raise Preempted(f"{self.spec.id}: stopped at step {self.step} of {total}")

    def _one_step(self) -> None:
        self.model.train()
        x = self.train_set.batch(self.batches[self.position]).to(self.device)
        torch.manual_seed(derive(self.spec.seed, "step", self.step))
        for name, value in self.take_step(self, x, self.clock()).items():
            self.totals[name] = self.totals.get(name, 0.0) + value.double()
        self.step += 1
        self.position += 1
        if self.step % CHECK_EVERY == 0:
            self._check_finite()

    def _check_finite(self) -> None:
        for name, value in self.totals.items():
            if not torch.isfinite(value):
                raise Diverged(f"{self.spec.id}: {name} is not finite at step {self.step}")

    def _end_epoch(self) -> None:
        self._check_finite()
        last = self._clock(self.step - 1)
        with self.autocast():
            rec, kl = rec_and_kl(self.model, self.valid_set, self.device, self.spec.seed)
        estimates = {}
        if self.model.critics is not None:
            few = self.valid_set.take(np.arange(min(WATCHED, len(self.valid_set))))
            estimates = divergences(self.model, few, self.device, self.spec.seed)
        value = float((rec + kl).mean()) if kl is not None else float(rec.mean())
        row = {"epoch": self.epoch + 1, "step": self.step, "lr": self.lr * self._lr_factor(),
               "valid_rec_nats_per_sentence": float(rec.mean()),
               "valid_kl_nats": None if kl is None else float(kl.mean()),
               **{f"valid_{name}": value for name, value in estimates.items()},
               **{f"train_{name}": float(v) / len(self.batches) for name, v in self.totals.items()},
               **{f"weight_{term.name}": term.weight(last) for term in self.terms}}
        self._watch_variance(row)
        if not math.isfinite(value):
            raise Diverged(f"{self.spec.id}: the validation loss is not finite after epoch {self.epoch + 1}")
        self.history.append(row)
        self.epoch, self.position, self.totals = self.epoch + 1, 0, {}
        self.finished = self.epoch == self.settings.epochs
        # DEVIATION(clvm:4.1): the papers choose implicit models by -ELBO; a dual estimate that falls to minus infinity
        # would win, so they are chosen by Rec here.
        # DEVIATION(ceae:A.4): how the kept model is chosen is not said; we take the best validation loss (Rec, plus the
        # KL with weight 1 where there is one), for CEAE among the epochs after the noise has ended.
        waits = max(self.spec.options.get(name, 0) for name in ("t_max", "pretrain_epochs"))
        if last.step >= last.lead and last.epoch > waits or self.finished:
            self._judge(value)
        if not self.finished:
            self.batches = self._plan(self.epoch)

    def _judge(self, value: float) -> None:
        """Keep the best model; the plateau rule of bn-vae: halve, return to the best model, stop at the last decay."""
        if value < self.best_value:
            self.best, self.best_value, self.best_epoch, self.bad_epochs = self._weights(), value, self.epoch, 0
            return
        self.bad_epochs += 1
        rule = self.settings
        epoch = self.epoch - self.memory.get("renewed", 0)
        if rule.decay == "plateau" and self.bad_epochs >= rule.patience and epoch > rule.first_decay:
            self.decays, self.bad_epochs, self.lr = self.decays + 1, 0, self.lr / 2
            self.model.load_state_dict(self.best)
            self.optimiser = self._optimiser()
            self.finished = self.finished or self.decays == rule.max_decays

    def renew_decoder(self) -> None:
        """A second training begins: fresh decoder, fresh optimiser; the encoder stays, epochs count anew for decays."""
        with seeded(self.spec.seed, "new decoder"):
            fresh = build_model(self.spec, self.vocabulary)
        self.model.decoder.load_state_dict(fresh.decoder.state_dict())
        self.optimiser = self._optimiser()
        self.memory["renewed"] = self.epoch

    def _watch_variance(self, row: dict) -> None:
        """Batch norm fixes the variance of mu only while the raw variance is far above its epsilon."""
        norm = getattr(self.model.posterior, "norm", None)
        if norm is None or norm.raw_variance is None:
            return
        row["code_variance_min"] = float(norm.raw_variance.min())
        row["code_variance_ok"] = row["code_variance_min"] > VARIANCE_FLOOR * norm.batch.eps
        if not row["code_variance_ok"]:
            say(f"warning: {self.spec.id}, epoch {self.epoch + 1}: the smallest variance before batch norm is "
                f"{row['code_variance_min']:.1e}, its epsilon {norm.batch.eps:.0e}: the code's variance is no longer "
                "fixed and the bound on the KL is void; start the encoder wider (--set init=wide), or take a smaller "
                "epsilon (--set norm_eps=1e-12)")

    def _headline(self) -> str:
        row = self.history[-1]
        kl = row["valid_kl_nats"]
        return f"epoch {row['epoch']}: Rec {row['valid_rec_nats_per_sentence']:.2f}" + (f" KL {kl:.2f}" if kl else "")

    def finish(self) -> None:
        """The best model takes the place of the last one, and what its family does after the training is done."""
        self.model.load_state_dict(self.best)
        if self.family.after:
            with cpu_threads(self.settings.threads):
                bind(self.family.after, self.spec.options)(self)
            self.best = self._weights()

    # checkpoints ------------------------------------------------------------------------------------------------

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    COUNTERS = ("lr", "epoch", "position", "step", "decays", "bad_epochs", "finished", "best_value", "best_epoch",
                "history")

    def state(self) -> dict:
        """Tensors, numbers and strings only: readable with `weights_only=True`."""
        return {"model": self.model.state_dict(), "best": self.best, "optimiser": self.optimiser.state_dict(),
                "critic_optimiser": self.critic_optimiser.state_dict() if self.critic_optimiser else {},
                "stateful": self.stateful.state_dict(), "totals": self.totals, "memory": self.memory,
                "counters": {name: getattr(self, name) for name in self.COUNTERS}}

    def restore(self, state: dict) -> None:
        """Continue exactly where `state()` was taken.  Raises Corrupt for the state of another kind of training."""
        try:
            for name in self.COUNTERS:
                setattr(self, name, state["counters"][name])
            self.model.load_state_dict(state["model"])
            self.stateful.load_state_dict(state["stateful"])
            self.optimiser = self._optimiser()
            self.optimiser.load_state_dict(state["optimiser"])
            if self.critic_optimiser:
                self.critic_optimiser.load_state_dict(state["critic_optimiser"])
            self.best, self.totals, self.memory = state["best"], state["totals"], dict(state.get("memory", {}))
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise Corrupt(f"run {self.spec.id}: the checkpoint does not fit this version") from error
        self.batches = self._plan(min(self.epoch, self.settings.epochs - 1))


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets; only the main thread can catch signals."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
