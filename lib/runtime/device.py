"""The device that networks run on, its precision, its kernels and PyTorch's threads."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from lib.runtime.errors import InputError
from lib.runtime.processes import local_rank, processes_here
from lib.runtime.unusable_gpu import require_kernels, tell_of_unused_gpu


def set_up(device: torch.device, deterministic: bool) -> None:
    """The kernels of a GPU: any, or with `deterministic` the repeatable ones.

    On a processor they are repeatable anyway. cuDNN does not try all of its own at each new size
    of a batch: that took seconds a size, and an update took as long with them.
    """
    if device.type == "cpu":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS is not repeatable
    torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision("high")


def device_of(gpus: list[str]) -> torch.device:
    """The GPU of `gpus`, or the processor where there is none or the list is empty.

    Says which GPU it passes over, and why. InputError for one that PyTorch has no kernels for.
    """
    if not gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        tell_of_unused_gpu()
        return torch.device("cpu")
    here = processes_here()
    if here > 1 and len(gpus) not in (1, here):
        raise InputError(f"gpus: {gpus}: name as many as there are processes on a machine, {here}")
    # One name is the default: of several processes each then has the GPU of its own number.
    number = local_rank() if here > len(gpus) else int(gpus[local_rank()])
    if number >= torch.cuda.device_count():
        raise InputError(f"gpus: ['{number}']: this machine has {torch.cuda.device_count()} GPU(s)")
    require_kernels(number)
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def half_type(device: torch.device) -> torch.dtype | None:
    """The 16-bit type to compute in: bfloat16, on a GPU without it float16; None: neither is fast.

    What a device only emulates is far slower than float32.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    return torch.bfloat16 if _processor_has_bfloat16() else None


def _processor_has_bfloat16() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # before PyTorch 2.11; the others it cannot tell
        return torch.cpu._is_avx512_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def precision(device: torch.device, mixed: bool) -> AbstractContextManager:
    """Autocast to the 16-bit type of the device, where that is asked for and there is one."""
    half = half_type(device) if mixed else None
    return torch.autocast(device.type, half, enabled=half is not None)


def gradient_scaler(device: torch.device, mixed: bool) -> torch.amp.GradScaler:
    """Keeps the gradients of float16 in its range; in any other precision it changes nothing.

    The least number of float16 is 6e-8, so small gradients would vanish. They are multiplied, and
    where one leaves the range, the update is left out and the factor halved.
    """
    return torch.amp.GradScaler(device.type, enabled=mixed and half_type(device) == torch.float16)


def describe(device: torch.device, mixed: bool) -> str:
    """Device and precision, for a person."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
    if not mixed:
        return f"{name}, float32{' (products in TF32)' if device.type == 'cuda' else ''}"
    kinds = {
        torch.bfloat16: "bfloat16",
        torch.float16: "float16 (it has no bfloat16)",
        None: "float32 (it has no bfloat16)",
    }
    return f"{name}, {kinds[half_type(device)]}"


@contextmanager
def side_by_side() -> Iterator[int]:
    """How many threads may predict at once, PyTorch itself having one in each.

    Some of its convolutions round otherwise with each number of threads, so that the bytes of a
    prediction would depend on the machine's cores and on how many processes share them.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)
