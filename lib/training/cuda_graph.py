"""An update's forward and backward pass as a CUDA graph: recorded once, replayed for each batch.

A small network on a fast GPU waits for the processor, which needs longer to launch some hundred
kernels than the GPU needs to run them. A graph is launched at once (Nguyen et al., "Accelerating
PyTorch with CUDA Graphs", 2021).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lib.unet import Outputs

EAGER = 3  # updates before the recording: libraries choose their kernels in them


class Pass(NamedTuple):
    """What a forward and backward pass leaves, beside the gradients."""

    losses: Tensor  # (n,)
    outputs: Outputs


# Images, masks, weights, and what they count together; adds to the gradients.
Compute = Callable[[Tensor, Tensor, Tensor, float | Tensor], Pass]


class RecordedPass:
    """Stands in for a `Compute` where the GPU allows it: same inputs, same results.

    It records at the fourth call and replays for batches of that shape and type; others are
    computed as ever. The gradients must stay where they are: set them to zero, not to None.
    """

    def __init__(self, compute: Compute, model: nn.Module) -> None:
        self._compute, self._model = compute, model
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._share = torch.zeros(())
        self._result: Pass | None = None

    def __call__(
        self, images: Tensor, masks: Tensor, weights: Tensor, share: float | Tensor
    ) -> Pass:
        given = images, masks, weights
        self._calls += 1
        if self._calls == EAGER + 1:
            self._record(given)
        if self._graph is None or self._result is None or not self._fits(given):
            return self._compute(images, masks, weights, share)
        for kept, now in zip(self._inputs, given, strict=True):
            kept.copy_(now, non_blocking=True)
        self._share.fill_(share)
        self._graph.replay()
        return _copied(self._result)  # the next replay overwrites it

    def _fits(self, given: tuple[Tensor, ...]) -> bool:
        pairs = zip(self._inputs, given, strict=True)
        return all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)

    def _record(self, given: tuple[Tensor, ...]) -> None:
        """Nothing is computed meanwhile, so weights and batch statistics stay as they are."""
        for parameter in self._model.parameters():
            if parameter.grad is None and parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)
        self._inputs = tuple(tensor.clone() for tensor in given)
        self._share = torch.zeros((), device=given[0].device)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()  # the graph has its own memory
        graph, (images, masks, weights) = torch.cuda.CUDAGraph(), self._inputs
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._result = self._compute(images, masks, weights, self._share)
        except torch.OutOfMemoryError:
            print("the memory of the GPU has no room for a CUDA graph: training goes on without")
        except RuntimeError as error:
            print(f"this network cannot be a CUDA graph ({error}): training goes on without")
        else:
            self._graph = graph


def _copied(result: Pass) -> Pass:
    logits, presence = result.outputs
    presence = None if presence is None else presence.clone()
    return Pass(result.losses.clone(), Outputs(logits, presence))
