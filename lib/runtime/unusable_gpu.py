"""A GPU that is there and that PyTorch cannot use: which one, why, and what to do."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import torch

from lib.runtime.errors import InputError

USUAL_WHEELS = "python -m pip install --force-reinstall torch torchvision"
# The last wheels for older GPUs (sm_50 to sm_90) and older drivers (from 525 on).
OLDER_WHEELS = (
    'python -m pip install --force-reinstall "torch<2.15" torchvision '
    "--index-url https://download.pytorch.org/whl/cu126"
)
DEVICES = Path("/dev")
PROCESSOR = "set gpus=[] for the processor"


@cache  # of several folds, once
def tell_of_unused_gpu() -> None:
    """Prints it where PyTorch finds no GPU and this machine has one that nobody has hidden."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hidden or not (gpu := gpu_of_machine()):
        return
    print(f"{gpu} is not used, the processor is: {_why()}. Or {PROCESSOR} without this message.")


def gpu_of_machine() -> str:
    """The NVIDIA GPUs of this machine and their driver, for a person; "" where there is none."""
    if found := _of_nvidia_smi():
        return found
    devices = sorted(DEVICES.glob("nvidia[0-9]*"))
    return f"the NVIDIA GPU {devices[0]}" if devices else ""


def _of_nvidia_smi() -> str:
    program = shutil.which("nvidia-smi")
    if not program:
        return ""
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # the program is there, the GPU is not
        return ""
    gpus = [line.rpartition(", ") for line in told.splitlines() if line.strip()]
    return ", ".join(f"{name} (driver {driver})" for name, _, driver in gpus)


def _why() -> str:
    """What keeps PyTorch from a GPU, and the way out."""
    if torch.version.cuda is None:
        return f"this PyTorch, {torch.__version__}, is a build without CUDA: {USUAL_WHEELS}"
    try:
        torch.cuda.init()
        reason = "PyTorch finds no GPU"
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
    return (
        f"{reason.rstrip('.')} (PyTorch {torch.__version__} for CUDA {torch.version.cuda}). "
        f"Install a newer driver, or PyTorch for older ones: {OLDER_WHEELS}"
    )


def require_kernels(number: int) -> None:
    """InputError for the GPU of this number where PyTorch was not built for its architecture."""
    built, capability = torch.cuda.get_arch_list(), torch.cuda.get_device_capability(number)
    if torch.version.hip or not built or runs_on(capability, built):
        return
    older = capability < (7, 5)  # what CUDA 13 has dropped
    raise InputError(
        f"the GPU {torch.cuda.get_device_name(number)} (sm_{capability[0]}{capability[1]}) is not "
        f"among those that PyTorch {torch.__version__} was built for ({' '.join(built)}): "
        f"{OLDER_WHEELS if older else USUAL_WHEELS}, or {PROCESSOR}"
    )


def runs_on(capability: tuple[int, int], built: list[str]) -> bool:
    """Whether code built for any of these architectures runs on a GPU of this one.

    sm_75 runs on 7.5 and later 7s, compute_75 on all later ones.
    """
    for name in built:
        kind, _, number = name.partition("_")
        digits = re.sub(r"\D", "", number)  # of 90a too
        of_code = int(digits[:-1]), int(digits[-1])
        same = of_code[0] == capability[0]
        if of_code <= capability and (same or kind == "compute"):
            return True
    return False
