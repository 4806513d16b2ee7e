import os
from collections.abc import Iterator

import pytest
import torch

from lib.runtime.device import device_of, has_bfloat16, set_up
from lib.runtime.errors import InputError


def pretend_two_gpus(monkeypatch: pytest.MonkeyPatch, rank: int, processes: int) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", lambda _: None)
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


def test_bfloat16_is_used_on_processors_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, expected in [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx2": True, "avx512_bf16": False}, False),
        ({"bf16": True}, True),
    ]:
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda it=capabilities: it)
        assert has_bfloat16(torch.device("cpu")) is expected
