"""The device that networks run on, its precision and its kernels."""

import os
from contextlib import AbstractContextManager

import torch

from lib.runtime.errors import InputError
from lib.runtime.processes import local_rank, processes_here


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
    """The GPU of `gpus`, or the processor where there is none or the list is empty."""
    if not gpus or not torch.cuda.is_available():
        return torch.device("cpu")
    here = processes_here()
    if here > 1 and len(gpus) not in (1, here):
        raise InputError(f"gpus: {gpus}: name as many as there are processes on a machine, {here}")
    # One name is the default: of several processes each then has the GPU of its own number.
    number = local_rank() if here > len(gpus) else int(gpus[local_rank()])
    if number >= torch.cuda.device_count():
        raise InputError(f"gpus: ['{number}']: this machine has {torch.cuda.device_count()} GPU(s)")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; others emulate it, far slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def precision(device: torch.device, mixed: bool) -> AbstractContextManager:
    """bfloat16 autocast where it is asked for and the device has it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed and has_bfloat16(device))


def describe(device: torch.device, mixed: bool) -> str:
    """Device and precision, for a person."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
    if not mixed:
        return f"{name}, float32{' (products in TF32)' if device.type == 'cuda' else ''}"
    return f"{name}, {'bfloat16' if has_bfloat16(device) else 'float32 (it has no bfloat16)'}"
