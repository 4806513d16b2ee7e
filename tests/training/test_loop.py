import math
import multiprocessing
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib.artifacts.folds import load_folds
from lib.artifacts.model import read_model
from lib.artifacts.run import Run
from lib.artifacts.state import load_state
from lib.config.fields import Config
from lib.data.table import with_files
from lib.dataset import Batch
from lib.runtime.errors import InputError
from lib.training.learner import Learner, MicroBatch
from lib.training.loop import Trainer
from lib.training.optimizer import (
    OPTIMIZERS,
    advice,
    build_optimizer,
    learning_rate_share,
    set_learning_rate,
)
from lib.training.validation import require_finite
from tests.conftest import configured, step


def trainer(config: Config) -> Trainer:
    step(1).main(config)
    folds = load_folds(config)
    return Trainer(folds, with_files(folds.table, config), 0, config)


@pytest.mark.parametrize(
    ("update", "updates", "warmup", "share"),
    [
        (0, 10, 0, 1.0),
        (5, 10, 0, 0.5),
        (10, 10, 0, 0.0),
        (2, 8, 0, (1 + math.sqrt(0.5)) / 2),
        (0, 10, 4, 0.25),
        (1, 10, 4, 0.5 * (1 + math.cos(math.pi / 10)) / 2),
        (5, 10, 4, 0.5),
    ],
)
def test_the_learning_rate_follows_a_line_up_and_half_a_cosine_down(
    update: int, updates: int, warmup: float, share: float
) -> None:
    assert learning_rate_share("Cosine", update, updates, warmup) == pytest.approx(share)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("Constant", [1, 1, 1]),
        ("Linear", [1, 0.5, 0]),
        ("Cosine", [1, 0.5, 0]),
        ("OneCycle", [0.04, (1 + math.cos(math.pi * 2 / 7)) / 2, 0]),
    ],
)
def test_each_schedule_starts_and_ends_where_it_should(schedule: str, shares: list[float]) -> None:
    found = [learning_rate_share(schedule, update, 20, 0) for update in (0, 10, 20)]
    assert found == pytest.approx(shares)
    assert max(learning_rate_share(schedule, update, 20, 0) for update in range(20)) == 1


def test_the_rate_of_the_last_update_is_that_of_the_schedule(config: Config) -> None:
    training = trainer(config)
    training.fit()
    share = learning_rate_share("Cosine", 5, 6, 0)
    assert training.learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.001 * share)


@pytest.mark.parametrize(
    ("schedule", "warmup_epochs", "rates"),
    [
        ("Constant", 0, [0.4, 0.4, 0.4, 0.4]),
        ("Constant", 1.5, [0.4 / 3, 0.8 / 3, 0.4, 0.4]),
        ("Linear", 0, [0.4, 0.3, 0.2, 0.1]),
        ("Linear", 1, [0.2, 0.3, 0.2, 0.1]),
    ],
)
def test_rates_follow_the_settings_update_by_update(
    schedule: str, warmup_epochs: float, rates: list[float]
) -> None:
    """Of two epochs of two updates each."""
    config = Config(
        learning_rate=0.4, schedule=schedule, warmup_epochs=warmup_epochs, epochs=2, optimizer="SGD"
    )
    optimizer = build_optimizer(nn.Linear(3, 1), config, torch.device("cpu"))
    found = []
    for update in range(4):
        set_learning_rate(optimizer, config, update, updates=2)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx(rates)


@pytest.mark.parametrize("name", ["AdamW", "NAdamW", "SGD"])
def test_weights_without_a_gradient_decay_as_asked_for(name: str) -> None:
    """SGD's Nesterov momentum makes its first step 1.9 times the gradient, decay included."""
    model = nn.Linear(3, 1)
    config = Config(optimizer=name, learning_rate=0.5, weight_decay=0.1)
    optimizer = build_optimizer(model, config, torch.device("cpu"))
    before = model.weight.detach().clone()
    model.weight.grad = torch.zeros_like(model.weight)
    optimizer.step()
    share = 0.05 * 1.9 if name == "SGD" else 0.05
    assert torch.allclose(model.weight, (1 - share) * before)


@pytest.mark.parametrize(
    ("name", "rate", "advised"),
    [
        ("AdamW", 0.001, ""),
        ("AdamW", 0.0003, ""),
        ("AdamW", 0.1, "learning_rate=0.001:"),
        ("SGD", 0.001, "learning_rate=0.1 and gradient_clip=1:"),
        ("SGD", 0.03, ""),
        ("RMSprop", 0.001, "learning_rate=0.0001:"),
        ("Adadelta", 0.001, "learning_rate=1:"),
    ],
)
def test_a_learning_rate_far_from_what_an_optimizer_learns_with_is_told(
    name: str, rate: float, advised: str
) -> None:
    told = advice(Config(optimizer=name, learning_rate=rate))
    assert bool(told) == bool(advised)
    assert advised in told


def test_the_training_gives_that_advice(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "optimizer=SGD", "folds=[0]", "epochs=1")
    step(1).main(config)
    step(2).main(config)
    assert "far from what SGD learned with" in capsys.readouterr().out
    step(2).main(config)
    assert "far from" not in capsys.readouterr().out  # it is trained already


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_each_optimizer_moves_the_weights_against_the_gradient(name: str) -> None:
    model = nn.Linear(3, 1)
    config = Config(optimizer=name, learning_rate=0.01)
    optimizer = build_optimizer(model, config, torch.device("cpu"))
    assert type(optimizer).__name__ == name.replace("NAdamW", "NAdam")
    before = model.weight.detach().clone()
    for update in range(3):
        set_learning_rate(optimizer, config, update, 10)
        optimizer.zero_grad()
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    assert (model.weight < before).all()


def test_the_layers_listed_have_their_own_learning_rate(settings: list[str]) -> None:
    layers = "differential_learning_rate_layers=[encoder]"
    training = trainer(configured(settings, layers, "differential_learning_rate=0.0001"))
    training.fit()
    slow, fast = training.learner.optimizer.param_groups
    encoder = [
        name for name, _ in training.learner.model.named_parameters() if name.startswith("encoder")
    ]
    assert len(slow["params"]) == len(encoder)
    assert slow["lr"] == pytest.approx(fast["lr"] / 10)
    with pytest.raises(InputError, match="this network has encoder, decoder, segmentation_head"):
        trainer(configured(settings, "differential_learning_rate_layers=[head]"))


@pytest.mark.parametrize(
    ("every", "epochs"), [(1, [1, 2]), (0.5, [2 / 3, 1, 5 / 3, 2]), (2, [2]), (5, [2])]
)
def test_validations_come_as_often_as_asked_for_and_at_the_end(
    settings: list[str], every: float, epochs: list[float]
) -> None:
    config = configured(settings, f"evaluation_epochs={every}")
    trainer(config).fit()
    found = pd.read_csv(Run.of(config).log(0))["epoch"]
    assert found.tolist() == pytest.approx(epochs, abs=1e-5)


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(
    settings: list[str], tmp_path: Path
) -> None:
    contents = []
    for run in ("a", "b", "c"):
        more = [f"runs_folder={tmp_path / run}", "mixed_precision_training=false"]
        config = configured(settings, *more, f"number_of_workers={2 if run == 'c' else 0}")
        trainer(config).fit()
        contents.append((Run.of(config).model(0).read_bytes(), Run.of(config).log(0).read_bytes()))
    assert contents[0] == contents[1] == contents[2]


def test_another_seed_gives_another_model(settings: list[str]) -> None:
    models = []
    for seed in (1, 2):
        config = configured(settings, f"seed={seed}", f"experiment_name=seed{seed}")
        trainer(config).fit()
        models.append(read_model(Run.of(config).model(0)).weights)
    assert not torch.equal(*(next(iter(weights.values())) for weights in models))


def test_training_lowers_the_loss(settings: list[str]) -> None:
    config = configured(settings, "epochs=8", "image_height=64", "image_width=96")
    trainer(config).fit()
    log = pd.read_csv(Run.of(config).log(0))
    assert len(log) == 8
    assert log["train_loss"].iloc[-1] < 0.7 * log["train_loss"].iloc[0]
    assert log["learning_rate"].is_monotonic_decreasing


class OneWeight(nn.Module):
    """A network without batch statistics, so that the size of a batch alone changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.convolution(images)


def batch(size: int, seed: int) -> Batch:
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (size, 1, 32, 64), generator=random, dtype=torch.uint8)
    masks = torch.randint(0, 2, (size, 1, 32, 64), generator=random, dtype=torch.uint8)
    sizes, weights = torch.tensor([[60, 80]] * size), torch.ones(size)
    return Batch(torch.arange(size), images, masks, sizes, weights)


def one_weight(config: Config) -> Learner:
    """A learner of a network that always starts the same."""
    learner = Learner(0, 1, False, config, torch.device("cpu"))
    torch.manual_seed(0)
    learner.model = learner.network = OneWeight()
    learner.optimizer = build_optimizer(learner.model, config, torch.device("cpu"))
    return learner


def updated(learner: Learner, group: list[Batch]) -> torch.Tensor:
    """The weights after one update."""
    images = sum(len(part.rows) for part in group)
    learner.update([MicroBatch(part, 1, 1 / images) for part in group], 0, 10)
    return learner.model.get_parameter("convolution.weight").detach().clone()


SGD = ["optimizer=SGD", "learning_rate=1", "schedule=Constant", "mixed_precision_training=false"]


def test_small_batches_accumulated_make_the_update_of_one_big_one(settings: list[str]) -> None:
    config = configured(settings, *SGD)
    parts = [batch(4, 0), batch(4, 1), batch(1, 2)]  # the last one partial
    whole = Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
    small, big = updated(one_weight(config), parts), updated(one_weight(config), [whole])
    assert torch.allclose(small, big, atol=1e-6)


def test_gradients_are_clipped_to_the_norm_asked_for(settings: list[str]) -> None:
    free = one_weight(configured(settings, *SGD))
    clipped = one_weight(configured(settings, *SGD, "gradient_clip=0.001"))
    torch.manual_seed(0)
    start = OneWeight().convolution.weight.detach()
    assert (updated(free, [batch(4, 0)]) - start).norm() > 0.01
    # Nesterov's momentum of .9 makes the first step 1.9 times the gradient.
    assert (updated(clipped, [batch(4, 0)]) - start).norm() <= 0.0019 + 1e-6


@pytest.mark.parametrize("how", ["Disabled", "Mixup", "Cutmix"])
def test_a_batch_is_mixed_on_its_way_to_the_network(settings: list[str], how: str) -> None:
    config = configured(settings, f"mix_image={how}")
    given = batch(4, 0)
    images, masks, _ = one_weight(config).prepared(given, (0, 0))
    assert torch.equal(images.float(), given.images.float()) == (how == "Disabled")
    assert torch.equal(masks.float(), given.masks.float()) == (how == "Disabled")


def test_every_image_is_trained_on_with_partial_batches_accumulated(settings: list[str]) -> None:
    config = configured(settings, "drop_last_batch=false", "batch_size=5", "grad_accumulation=2")
    training = trainer(config)
    images = len(training.training)
    assert images % 5  # else there would be no partial batch
    seen: list[int] = []
    update = training.learner.update

    def noting(batches: Sequence[MicroBatch], number: int, updates: int) -> list[torch.Tensor]:
        seen.extend(row for part in batches for row in part.batch.rows.tolist())
        return update(batches, number, updates)

    training.learner.update = noting  # type: ignore[method-assign]
    training.fit()
    assert sorted(seen) == sorted(list(range(images)) * config.epochs)
    assert training.updates == math.ceil(math.ceil(images / 5) / 2)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_images(config: Config) -> None:
    training = trainer(config)
    with torch.no_grad():
        next(training.learner.model.parameters()).fill_(math.nan)
    with pytest.raises(InputError, match=r"not finite on \d_\d, .*lower learning_rate"):
        training.fit()
    assert not Run.of(config).model(0).exists()


def test_weights_that_explode_before_a_validation_stop_the_run_by_image_and_update(
    config: Config,
) -> None:
    training = trainer(config)
    update = training.learner.update

    def breaking(batches: Sequence[MicroBatch], number: int, updates: int) -> list[torch.Tensor]:
        losses = update(batches, number, updates)
        if number == training.updates - 1:
            with torch.no_grad():
                next(training.learner.model.parameters()).fill_(3e38)  # still a number
        return losses

    training.learner.update = breaking  # type: ignore[method-assign]
    words = rf"in the validation after update {training.updates}: the loss is not finite on \d_\d"
    with pytest.raises(InputError, match=words):
        training.fit()


def test_only_the_images_with_the_wrong_loss_are_named() -> None:
    table = pd.DataFrame({"image": list("abcdefgh")})
    losses = torch.tensor([0.5, math.inf, 0.2])
    rows = Batch(torch.tensor([3, 5, 7]), *[torch.empty(0)] * 4)
    with pytest.raises(InputError, match=r"fold 2, update 9: the loss is not finite on f\. "):
        require_finite(losses, rows, table, 2, ", update 9")


def test_weights_that_break_in_the_last_update_are_not_kept(config: Config) -> None:
    training = trainer(config)
    update = training.learner.update

    def breaking(batches: Sequence[MicroBatch], number: int, updates: int) -> list[torch.Tensor]:
        losses = update(batches, number, updates)
        if number == training.updates * config.epochs - 1:
            with torch.no_grad():
                next(training.learner.model.parameters()).fill_(math.nan)
        return losses

    training.learner.update = breaking  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"fold 0: after update 6, on .*_\d.* are no numbers"):
        training.fit()
    assert not Run.of(config).model(0).exists()
    state = load_state(config, 0)
    assert state is not None
    assert all(weights.isfinite().all() for weights in state["model"].values())


def test_a_model_is_marked_with_the_folds_it_was_trained_on(config: Config) -> None:
    """Also where the first step is run again, to other folds, while it trains."""
    training = trainer(config)
    trained_on = load_folds(config).sha
    other = Config(**{**vars(config), "n_folds": 3, "folds": ["0", "1", "2"]})
    step(1).main(other)
    training.fit()
    assert read_model(Run.of(config).model(0)).folds_sha == trained_on != load_folds(config).sha
    with pytest.raises(InputError, match=r"trained on another folds.csv"):
        step(3).main(config)


def test_a_fold_that_is_done_leaves_no_memory_and_no_process(settings: list[str]) -> None:
    training = trainer(configured(settings, "number_of_workers=1"))
    training.fit()
    gone = weakref.ref(training)
    assert multiprocessing.active_children()
    del training
    assert gone() is None
    assert not multiprocessing.active_children()


def test_the_network_is_scored_on_its_own_fold_alone(config: Config) -> None:
    training = trainer(config)
    both = set(training.training["image"]) & set(training.validation.table["image"])
    assert not both
    assert not set(training.training["subject"]) & set(training.validation.table["subject"])
    assert np.isin(training.validation.table["fold"], 0).all()
