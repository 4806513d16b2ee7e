import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lib.runtime.device import (
    describe,
    device_of,
    gradient_scaler,
    half_type,
    precision,
    set_up,
    side_by_side,
)
from lib.runtime.errors import InputError
from lib.runtime.threads import in_order
from lib.runtime.unusable_gpu import gpu_of_machine, runs_on, tell_of_unused_gpu


def pretend_two_gpus(monkeypatch: pytest.MonkeyPatch, rank: int, processes: int) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", lambda _: None)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: (7, 5))
    monkeypatch.setattr("torch.cuda.get_arch_list", lambda: ["sm_75", "sm_80"])
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))


@pytest.mark.parametrize(
    ("gpus", "rank", "processes", "number"),
    [
        (["0"], 0, 1, 0),
        (["1"], 0, 1, 1),
        (["0"], 1, 2, 1),  # the default: each process has the GPU of its own number
        (["1", "0"], 0, 2, 1),
        (["1", "0"], 1, 2, 0),
    ],
)
def test_each_process_has_the_gpu_that_gpus_names(
    gpus: list[str], rank: int, processes: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_two_gpus(monkeypatch, rank, processes)
    assert device_of(gpus) == torch.device("cuda", number)
    assert device_of([]) == torch.device("cpu")


@pytest.mark.parametrize(
    ("gpus", "processes", "complaint"),
    [
        (["2"], 1, "this machine has 2 GPU"),
        (["0", "1"], 3, "as many as there are processes on a machine, 3"),
    ],
)
def test_gpus_that_are_not_there_are_an_error(
    gpus: list[str], processes: int, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_two_gpus(monkeypatch, 0, processes)
    with pytest.raises(InputError, match=complaint):
        device_of(gpus)


@pytest.fixture
def restored_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `set_up` changes is as it was afterwards."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = torch.get_float32_matmul_precision()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision(before)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


@pytest.mark.usefixtures("restored_kernels")
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_gpu_is_set_to_repeatable_kernels_or_to_any(deterministic: bool) -> None:
    set_up(torch.device("cuda"), deterministic)
    assert torch.are_deterministic_algorithms_enabled() is deterministic
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.usefixtures("restored_kernels")
def test_a_processor_is_left_as_it_is() -> None:
    set_up(torch.device("cpu"), True)
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_a_gpu_or_with_none_asked_for_the_processor_is_used() -> None:
    assert device_of([]) == torch.device("cpu")
    if not torch.cuda.is_available():
        assert device_of(["0"]) == torch.device("cpu")


def test_the_16_bit_type_of_processors_is_bfloat16_or_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for capabilities, expected in [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False, "avx512_fp16": True}, None),
        ({"bf16": True}, torch.bfloat16),
    ]:
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda it=capabilities: it)
        assert half_type(torch.device("cpu")) is expected
        word = "bfloat16" if expected else r"float32 (it has no bfloat16)"
        assert describe(torch.device("cpu"), True) == f"the processor, {word}"


@pytest.mark.parametrize(
    ("native", "half", "word"),
    [(True, torch.bfloat16, "bfloat16"), (False, torch.float16, "float16 (it has no bfloat16)")],
)
def test_the_16_bit_type_of_a_gpu_without_bfloat16_is_float16(
    native: bool, half: torch.dtype, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "Tesla T4")
    gpu = torch.device("cuda", 0)
    assert half_type(gpu) == half
    assert describe(gpu, True) == f"Tesla T4, {word}"
    assert describe(gpu, False) == "Tesla T4, float32 (products in TF32)"


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16, None])
def test_only_float16_has_a_factor_for_its_gradients(
    half: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.runtime.device.half_type", lambda _: half)
    for mixed in (True, False):
        scaler = gradient_scaler(torch.device("cpu"), mixed)
        assert scaler.is_enabled() == (mixed and half == torch.float16)
        with precision(torch.device("cpu"), mixed):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == (half if mixed and half else torch.float32)


T4, P100, V100, A100 = (7, 5), (6, 0), (7, 0), (8, 0)
CUDA_13 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
CUDA_126 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        (T4, CUDA_13, True),
        (P100, CUDA_13, False),
        (V100, CUDA_13, False),
        (P100, CUDA_126, True),
        (V100, CUDA_126, True),
        ((6, 1), CUDA_126, True),  # a GTX 1080 runs code of the P100
        ((12, 0), CUDA_126, False),  # newer than all of them
        ((12, 1), [*CUDA_126, "compute_90"], True),  # which is compiled on the way
        ((9, 0), ["sm_90a"], True),
        (T4, ["compute_80"], False),
    ],
)
def test_code_runs_on_the_gpus_it_was_built_for(
    capability: tuple[int, int], built: list[str], runs: bool
) -> None:
    assert runs_on(capability, built) == runs


def test_a_gpu_that_the_wheel_was_not_built_for_is_an_error_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_two_gpus(monkeypatch, 0, 1)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "Tesla P100-PCIE-16GB")
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: P100)
    with pytest.raises(InputError) as caught:
        device_of(["0"])
    for words in ("Tesla P100-PCIE-16GB (sm_60)", "sm_75", "whl/cu126", "torch<2.15", "gpus=[]"):
        assert words in str(caught.value)
    assert device_of([]) == torch.device("cpu")
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: (13, 0))
    with pytest.raises(InputError, match=r"sm_130.*reinstall torch torchvision, or set gpus=\[\]"):
        device_of(["0"])


NVIDIA_SMI = """#!/bin/sh
echo "Tesla T4, 470.82.01"
echo "Tesla T4, 470.82.01"
"""
TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update"


@pytest.fixture
def unused_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs, on which PyTorch finds none: their driver is too old."""

    def init() -> None:
        raise RuntimeError(f"{TOO_OLD}\nmore")

    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.init", init)
    monkeypatch.setattr("torch.version.cuda", "13.0")
    tell_of_unused_gpu.cache_clear()


@pytest.mark.usefixtures("unused_gpu")
def test_a_gpu_that_pytorch_cannot_use_is_told_by_name_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert device_of(["0"]) == torch.device("cpu")
    told = capsys.readouterr().out
    assert told.startswith("Tesla T4 (driver 470.82.01), Tesla T4 (driver 470.82.01) is not used")
    for words in (TOO_OLD, "CUDA 13.0", "newer driver", "whl/cu126", "gpus=[]"):
        assert words in told
    device_of(["0"])  # of the next fold
    assert capsys.readouterr().out == ""
    tell_of_unused_gpu.cache_clear()
    monkeypatch.setattr("torch.version.cuda", None)
    device_of(["0"])
    assert (
        "is a build without CUDA: python -m pip install --force-reinstall torch "
        in capsys.readouterr().out
    )


@pytest.mark.usefixtures("unused_gpu")
def test_a_gpu_that_is_not_wanted_or_is_hidden_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    device_of([])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    device_of(["0"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("program", ["exit 9", None])
def test_a_gpu_is_found_by_its_device_file_where_nvidia_smi_fails_or_is_not_there(
    program: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("lib.runtime.unusable_gpu.DEVICES", tmp_path)
    assert gpu_of_machine() == ""
    (tmp_path / "nvidiactl").touch()  # there without any GPU, too
    assert gpu_of_machine() == ""
    (tmp_path / "nvidia0").touch()
    assert gpu_of_machine() == f"the NVIDIA GPU {tmp_path / 'nvidia0'}"


def test_pytorch_has_one_thread_in_each_and_its_own_number_again_afterwards() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with side_by_side() as threads:
            found = list(in_order(lambda _: torch.get_num_threads(), range(4), threads, threads))
        assert (threads, found, torch.get_num_threads()) == (3, [1, 1, 1, 1], 3)
    finally:
        torch.set_num_threads(before)
