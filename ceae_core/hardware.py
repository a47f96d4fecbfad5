"""What a machine can do, and on which part of it a run computes."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ceae_core import __version__
from ceae_core.errors import CeaeError


def choose_device(name: str = "auto") -> torch.device:
    """cuda when there is one, else cpu; or the device asked for.  Raises CeaeError when that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        raise CeaeError(f"device: {name!r} cannot be used here ({str(error).splitlines()[0]}); try cpu") from error
    return torch.device(name)


def best_precision() -> str:
    """bf16 where the GPU, if there is one, or else the processor computes in it natively; otherwise fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    features = _processor()
    return "bf16" if features.get("avx512_bf16") or features.get("amx_bf16") else "fp32"


def _processor() -> dict[str, Any]:
    """Name and instruction sets of the CPU; empty where this version of PyTorch cannot tell."""
    return getattr(torch.cpu, "get_capabilities", dict)()


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Inside the block torch computes with so many CPU threads: the order of its sums, so their last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and hardware behind a number."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {"ceae_core": __version__, "python": platform.python_version(), "torch": torch.__version__,
            "device": gpu or _processor().get("cpu_name") or platform.machine(),
            "device_type": device.type, "platform": f"{platform.system()} {platform.machine()}"}
