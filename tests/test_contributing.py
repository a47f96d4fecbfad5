"""The worked example of CONTRIBUTING.md, as it is printed there, is a family like the others."""

import re
from pathlib import Path

import pytest
import torch

from ceae_core import generate, zoo
from ceae_core.execute import obtain, remeasure
from ceae_core.losses import divergences
from ceae_core.runs import Store
from ceae_core.spec import resolve

TEXT = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two blocks executed, each inside the module where the text says it goes."""
    function, row = BLOCKS
    scope = dict(vars(divergences))
    exec(compile(function, "CONTRIBUTING.md", "exec"), scope)
    monkeypatch.setattr(zoo, "FAMILIES", dict(zoo.FAMILIES))
    exec(compile(row, "CONTRIBUTING.md", "exec"), {**vars(zoo), "capacity": scope["capacity"]})


def test_the_example_trains_resumes_measures_and_samples(example: None, tmp_path: Path):
    store, spec = Store(tmp_path), resolve("capacity-vae", scale="smoke", set={"nats": "2.5"})
    assert spec.options == {"norm": "none", "gamma": None, "learn_shift": True, "norm_eps": 1e-5, "nats": 2.5,
                            "kl_start": 0.0, "warmup_epochs": 1.6}
    run = obtain(spec, store)
    assert run.status == "complete" and len(run.history) == 2
    assert run.metrics["kl_nats"] > 0 and run.metrics["nll_iw_nats"] > 0
    assert remeasure(run) == run.metrics
    assert len(generate.sample(run.model(torch.device("cpu")), run.vocabulary(), 5)) == 5


def test_the_capacity_holds_the_kl(example: None, tmp_path: Path):
    """The term is what the text says: its KL ends nearer to C than that of the annealed VAE."""
    store = Store(tmp_path)
    kl = {name: obtain(resolve(name, scale="smoke", set={"epochs": 4, **more}), store).metrics["kl_nats"]
          for name, more in (("vae", {}), ("capacity-vae", {"nats": 3.0}))}
    assert abs(kl["capacity-vae"] - 3.0) < abs(kl["vae"] - 3.0)


def test_the_text_names_the_fields_of_a_row():
    fields = set(re.findall(r"`(\w+)`", TEXT[TEXT.index("| axis |"):TEXT.index("The tests then")]))
    assert set(zoo.Family.__dataclass_fields__) - {"title", "cite", "rows", "options"} <= fields
