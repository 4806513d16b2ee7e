"""Settings -> optimizer and learning rate."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn
from torch.optim import SGD, Adadelta, Adam, AdamW, NAdam, Optimizer, RMSprop

from lib.config.fields import Config
from lib.runtime.errors import InputError

MOMENTUM = 0.9  # of SGD and RMSprop
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "AdamW": AdamW,
    "Adam": Adam,
    "NAdamW": partial(NAdam, decoupled_weight_decay=True),
    "SGD": partial(SGD, momentum=MOMENTUM, nesterov=True),
    "RMSprop": partial(RMSprop, momentum=MOMENTUM),
    "Adadelta": Adadelta,
}
# The rates with which they learned on a phantom; docs/benchmarks.md has the figures.
USUAL_RATES = {
    "AdamW": 1e-3,
    "Adam": 1e-3,
    "NAdamW": 1e-3,
    "SGD": 0.1,
    "RMSprop": 1e-4,
    "Adadelta": 1,
}
FUSED = {"AdamW", "Adam", "SGD"}  # one kernel for all weights, where PyTorch has it


def advice(config: Config) -> str:
    """About a learning rate that is ten times less or more than what the optimizer learned with."""
    usual, more = USUAL_RATES.get(config.optimizer, 0.001), ""
    if usual / 10 < config.learning_rate < usual * 10:
        return ""
    if config.optimizer == "SGD":  # from random weights it marks nothing at first, for long
        more = " and gradient_clip=1"
    return (
        f"learning_rate={config.learning_rate:g} is far from what {config.optimizer} learned with "
        f"on a phantom, learning_rate={usual:g}{more}: it may learn nothing"
    )


def build_optimizer(model: nn.Module, config: Config, device: torch.device) -> Optimizer:
    """The optimizer called `optimizer`; layers listed have differential_learning_rate.

    InputError for a listed layer that the model does not have.
    """
    more = {"fused": True} if device.type == "cuda" and config.optimizer in FUSED else {}
    return OPTIMIZERS[config.optimizer](
        list(_groups(model, config)),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        **more,
    )


def _groups(model: nn.Module, config: Config) -> Iterator[dict[str, object]]:
    """Parameters by their peak learning rate: those of the layers listed, then the others."""
    listed = config.differential_learning_rate_layers
    layers = [name for name, _ in model.named_children()]
    if unknown := set(listed) - set(layers):
        raise InputError(
            f"differential_learning_rate_layers: {sorted(unknown)}: this network has "
            f"{', '.join(layers)}"
        )
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[name.partition(".")[0] in listed].append(parameter)
    if groups[True]:
        yield {"params": groups[True], "peak": config.differential_learning_rate}
    if groups[False]:
        yield {"params": groups[False], "peak": config.learning_rate}


def set_learning_rate(optimizer: Optimizer, config: Config, update: int, updates: int) -> None:
    """The rates of update number `update`, from 0; an epoch has `updates` of them."""
    share = learning_rate_share(
        config.schedule, update, updates * config.epochs, updates * config.warmup_epochs
    )
    for group in optimizer.param_groups:
        group["lr"] = share * group["peak"]


def learning_rate_share(schedule: str, update: int, updates: int, warmup: float) -> float:
    """Share 0..1 of the peak rate at an update of 0..updates.

    A line up over the first `warmup` updates, times
    - Constant: 1;
    - Linear: a line from 1 down to 0;
    - Cosine: half a cosine from 1 to 0 (Loshchilov and Hutter 2017, without restarts);
    - OneCycle: half a cosine from 1/25 up to 1 over the first 30 %, one from there to 0 (Smith and
      Topin 2018, in the form and with the numbers of fastai, without its momentum).
    """
    climb = min(1.0, (update + 1) / warmup) if warmup else 1.0
    return climb * SCHEDULES[schedule](min(update / updates, 1.0))


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _one_cycle(done: float) -> float:
    start, top = 1 / 25, 0.3
    if done < top:
        return start + (1 - start) * (1 - _cosine(done / top))
    return _cosine((done - top) / (1 - top))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "Cosine": _cosine,
    "Constant": lambda done: 1.0,
    "Linear": lambda done: 1 - done,
    "OneCycle": _one_cycle,
}
