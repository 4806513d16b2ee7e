"""A moving average of a network's weights, which often predicts better than the last ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of all weights and batch statistics (Polyak and Juditsky 1992).

    Not torch.optim.swa_utils.AveragedModel: that keeps a second network, which would have to be
    placed and compiled like the first.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: tensor.detach().clone() for name, tensor in _weights(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, updates: int) -> None:
        """After the update of this number, from 1.

        The decay climbs as (1 + updates) / (10 + updates), so that the first weights, which are
        random, are soon forgotten.
        """
        decay = min(self.decay, (1 + updates) / (10 + updates))
        now = _weights(model)
        pairs = [(mean, now[name]) for name, mean in self.weights.items()]
        means, values = zip(*pairs, strict=True)
        torch._foreach_lerp_(means, values, 1 - decay)

    def take_up(self, weights: dict[str, Tensor]) -> None:
        for name, tensor in self.weights.items():
            tensor.copy_(weights[name])

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """The model has the averages, and afterwards its own weights again."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        for name, tensor in _weights(model).items():
            own = tensor.clone()
            tensor.copy_(self.weights[name])
            self.weights[name].copy_(own)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """All but BatchNorm's counters, the only whole numbers."""
    return {n: t for n, t in model.state_dict().items() if t.is_floating_point()}
