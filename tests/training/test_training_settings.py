"""Settings of a training that change what is kept, when it ends, or what it tells."""

import math
from collections.abc import Callable

import pandas as pd
import pytest
import torch
from torch import nn

from lib.artifacts.folds import load_folds
from lib.artifacts.model import read_model
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.table import with_files
from lib.dataset import Batch
from lib.inference import predict
from lib.inference.predict import outputs_of_batch
from lib.runtime.errors import InputError
from lib.training.ema import WeightAverage
from lib.training.learner import Learner, MicroBatch
from lib.training.loop import Trainer
from lib.training.pretrained import load_pretrained
from lib.training.validation import Row, presence_auc
from lib.unet import Outputs, build_model, outputs_of, to_input
from tests.conftest import configured, step


def trainer(config: Config) -> Trainer:
    step(1).main(config)
    folds = load_folds(config)
    return Trainer(folds, with_files(folds.table, config), 0, config)


def scoring(training: Trainer, ious: list[float], dices: list[float] | None = None) -> None:
    """Lets the validations give these IoUs, and Dices, one after the other."""
    real, given = training.validation.scores, zip(ious, dices or ious, strict=True)

    def scored(model: torch.nn.Module, after: int) -> Row:
        iou, dice = next(given)
        return real(model, after) | {"validation_iou": iou, "validation_dice": dice}

    training.validation.scores = scored  # type: ignore[method-assign]


def weights_at(training: Trainer) -> list[dict[str, torch.Tensor]]:
    """Fills with the model's weights at each validation."""
    real, found = training.validation.scores, []

    def scored(model: torch.nn.Module, after: int) -> Row:
        found.append({name: value.clone() for name, value in model.state_dict().items()})
        return real(model, after)

    training.validation.scores = scored  # type: ignore[method-assign]
    return found


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("best", "kept"), [("false", 3), ("true", 1)])
def test_the_best_checkpoint_is_kept_if_asked_for_and_the_last_otherwise(
    settings: list[str], best: str, kept: int
) -> None:
    config = configured(settings, "epochs=4", f"save_best_checkpoint={best}")
    training = trainer(config)
    scoring(training, [0.2, 0.6, 0.6, 0.5])  # of two that are equal the first
    weights = weights_at(training)
    training.fit()
    assert same(read_model(Run.of(config).model(0)).weights, weights[kept])


def test_the_best_checkpoint_outlives_a_kill(settings: list[str]) -> None:
    config = configured(settings, "epochs=2", "save_best_checkpoint=true")
    training = trainer(config)
    scoring(training, [0.6, 0.1])
    weights = weights_at(training)
    training.fit()
    Run.of(config).model(0).unlink()
    again = trainer(config)
    again.fit()
    assert same(read_model(Run.of(config).model(0)).weights, weights[0])


def test_training_stops_when_the_score_has_not_risen_for_so_many_epochs(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "epochs=9", "early_stopping_epochs=2")
    training = trainer(config)
    scoring(training, [0.2, 0.5, 0.4, 0.5])
    training.fit()
    assert [row["epoch"] for row in training.rows] == [1, 2, 3, 4]
    assert len(read_model(Run.of(config).model(0)).log) == 4
    assert "ends after epoch 4.00: the score stopped rising" in capsys.readouterr().out
    Run.of(config).model(0).unlink()
    again = trainer(config)
    again.fit()  # cut off between the last state and the model: nothing is trained any more
    assert again.done == training.done
    assert Run.of(config).model(0).is_file()


@pytest.mark.parametrize(("metric", "ends", "kept"), [("IoU", 4, 1), ("Dice", 3, 0)])
def test_the_metric_decides_when_training_stops_and_what_is_kept(
    settings: list[str], metric: str, ends: int, kept: int
) -> None:
    more = ["epochs=9", "early_stopping_epochs=2", "save_best_checkpoint=true"]
    training = trainer(configured(settings, *more, f"metric={metric}"))
    scoring(training, [0.2, 0.5, 0.4, 0.5], dices=[0.8, 0.7, 0.6, 0.5])
    weights = weights_at(training)
    training.fit()
    assert training.rows[-1]["epoch"] == ends
    assert same(read_model(Run.of(training.config).model(0)).weights, weights[kept])


def test_the_time_budget_ends_a_training_which_goes_on_when_it_is_raised(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    short = configured(settings, "epochs=3", "time_budget_minutes=0.00001")
    training = trainer(short)
    training.fit()
    assert training.done == 1
    assert len(training.rows) == 1  # it is scored all the same
    assert "ends after epoch 0.33: time_budget_minutes are over" in capsys.readouterr().out
    longer = configured(settings, "epochs=3")
    step(2).main(longer)
    out = capsys.readouterr().out
    assert "time_budget_minutes: 0.0, 1e-05" in out
    assert "goes on after epoch 0.33" in out
    assert read_model(Run.of(longer).model(0)).log[-1]["epoch"] == 3


def test_the_average_of_weights_is_scored_and_kept(settings: list[str]) -> None:
    config = configured(settings, "ema_decay=0.9", "epochs=1")
    training = trainer(config)
    scored = weights_at(training)
    learner, seen = training.learner, []
    update: Callable[..., list[torch.Tensor]] = learner.update

    def noting(*arguments: object) -> list[torch.Tensor]:
        losses = update(*arguments)
        seen.append({n: t.clone() for n, t in learner.model.state_dict().items()})
        return losses

    start = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    learner.update = noting  # type: ignore[assignment, method-assign]
    training.fit()
    kept = read_model(Run.of(config).model(0)).weights
    assert same(kept, scored[0])
    name = "segmentation_head.0.weight"
    expected = start[name]
    for number, weights in enumerate(seen, 1):
        decay = min(0.9, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * weights[name]
    assert torch.allclose(kept[name], expected, atol=1e-6)
    assert torch.equal(learner.model.state_dict()[name], seen[-1][name])


def test_an_average_lends_its_weights_and_takes_them_back() -> None:
    model = torch.nn.BatchNorm1d(3)
    average = WeightAverage(model, 0.5)
    torch.nn.init.constant_(model.weight, 3.0)
    average.update(model, 100)
    with average.in_place_of(model):
        assert model.weight.tolist() == [2, 2, 2]
    assert model.weight.tolist() == [3, 3, 3]
    assert average.weights["weight"].tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "more", [["ema_decay=0.9"], ["presence_head=0.5"], ["calculate_train_metric=true"]]
)
def test_a_training_with_all_that_goes_on_with_the_same_bytes(
    settings: list[str], more: list[str]
) -> None:
    config = configured(settings, *more, "checkpoint_minutes=0", "folds=[0]")
    trainer(config).fit()
    expected = Run.of(config).model(0).read_bytes(), Run.of(config).log(0).read_bytes()
    for path in (Run.of(config).model(0), Run.of(config).state(0)):
        path.unlink()
    training = trainer(config)
    update: Callable[..., list[torch.Tensor]] = training.learner.update

    def stopped(batches: object, number: int, updates: int) -> list[torch.Tensor]:
        if number == 4:
            raise KeyboardInterrupt
        return update(batches, number, updates)

    training.learner.update = stopped  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        training.fit()
    again = trainer(config)
    assert again.done == 4
    again.fit()
    assert (Run.of(config).model(0).read_bytes(), Run.of(config).log(0).read_bytes()) == expected


def test_training_images_are_scored_if_asked_for(settings: list[str]) -> None:
    config = configured(settings, "calculate_train_metric=true", "epochs=8", "image_height=64")
    trainer(config).fit()
    log = pd.read_csv(Run.of(config).log(0))
    assert log["train_iou"].between(0, 1).all()
    assert (log["train_dice"] >= log["train_iou"]).all()
    assert log["train_iou"].iloc[-1] > log["train_iou"].iloc[0]


def test_the_images_of_the_fold_are_trained_on_if_asked_for_and_every_score_says_so(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "train_validation_data=true", "folds=[0]", "epochs=1")
    assert len(trainer(config).training) == 24
    capsys.readouterr()
    step(2).main(config)
    out = capsys.readouterr().out
    assert "NOT OUT OF FOLD: with train_validation_data" in out
    line = next(line for line in out.splitlines() if "IoU" in line)
    assert line.partition("  validated in")[0].endswith("NOT OUT OF FOLD")


def test_what_flattered_in_training_is_said_beside_every_later_score(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the networks that tell, not the settings of the later steps."""
    flattering = configured(settings, "save_best_checkpoint=true", "epochs=1")
    step(1).main(flattering)
    step(2).main(flattering)
    later = configured(settings, "epochs=1")
    step(3).main(later)
    capsys.readouterr()
    step(4).main(later)
    out = capsys.readouterr().out
    assert "EPOCH CHOSEN ON THESE IMAGES: by save_best_checkpoint" in out
    lines = [line for line in out.splitlines() if "95 % interval" in line]
    assert lines and all(line.endswith("  EPOCH CHOSEN ON THESE IMAGES") for line in lines)


def test_a_presence_head_learns_from_images_with_and_without_a_nerve(settings: list[str]) -> None:
    more = ["presence_head=1", "epochs=30", "learning_rate=0.01", "evaluation_epochs=30"]
    config = configured(settings, *more)
    training = trainer(config)
    training.fit()
    weights = read_model(Run.of(config).model(0)).weights
    assert any(name.startswith("classification_head") for name in weights)
    assert training.rows[-1]["validation_auc"] > 0.9


def test_there_is_no_presence_head_where_every_image_has_a_nerve(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "presence_head=1", "epochs=1")
    step(1).main(config)
    folds = load_folds(config)
    nerves = folds.table[folds.table["rle_mask"] != ""].reset_index(drop=True)
    training = Trainer(folds, with_files(nerves, config), 0, config)
    assert "no presence head, as every training image has a nerve" in capsys.readouterr().out
    assert "classification_head.3.weight" not in training.learner.model.state_dict()
    training.fit()
    assert math.isnan(training.rows[-1]["validation_auc"])


def test_presence_auc_by_hand() -> None:
    table = pd.DataFrame({"class": "a", "nerve": [1, 1, 0, 0], "presence": [0.9, 0.4, 0.5, 0.1]})
    assert presence_auc(table) == 0.75
    assert math.isnan(presence_auc(table.head(2)))


def test_presence_auc_does_not_reward_telling_classes_from_each_other() -> None:
    """Of class a, which is common, .5; of b, which is rare, 1; of c, always there, none."""
    table = pd.DataFrame(
        {
            "class": list("aaabbbcc"),
            "nerve": [1, 1, 0, 0, 0, 1, 1, 1],
            "presence": [0.9, 0.7, 0.8, 0.1, 0.1, 0.2, 0.9, 0.9],
        }
    )
    assert presence_auc(table) == 0.75


def short_of_memory(training: Trainer, most: int) -> list[int]:
    """A network that has no room for more images at once; fills with those it was given."""
    forward, sizes = training.learner.network.forward, []

    def cramped(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        if training.learner.model.training and len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(images)

    training.learner.network.forward = cramped
    return sizes


def test_short_memory_halves_the_batch_and_accumulates(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "automatically_adjust_batch_size=true", "epochs=1")
    training = trainer(config)
    sizes = short_of_memory(training, 1)
    training.fit()
    assert sizes[:7] == [4, 2, 1, 1, 1, 1, 1]
    assert training.done == 3  # updates, as of batches of four
    assert "memory is short: 1 images at once" in capsys.readouterr().out


def test_memory_too_short_for_the_optimizer_is_an_error_with_the_way_out(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = trainer(config)

    def cramped() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training.learner.optimizer, "step", cramped)
    with pytest.raises(InputError, match="no room for the optimizer's own state"):
        training.fit()


def test_memory_too_short_for_the_last_image_alone_shares_the_batch_out_evenly(
    settings: list[str],
) -> None:
    more = ["automatically_adjust_batch_size=true", "batch_size=10", "epochs=1"]
    training = trainer(configured(settings, *more))
    sizes = short_of_memory(training, 3)
    training.fit()
    assert sizes[:6] == [10, 5, 3, 3, 2, 2]


def test_short_memory_halves_what_is_predicted_at_once(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cpu = build_model(config).eval(), torch.device("cpu")
    images = to_input(torch.randint(0, 256, (5, 1, 32, 64), dtype=torch.uint8), config)
    expected, sizes = predict.outputs_to(model, images, config, cpu), []

    def cramped(model: torch.nn.Module, images: torch.Tensor) -> Outputs:
        sizes.append(len(images))
        if len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return outputs_of(model, images)

    monkeypatch.setattr(predict, "seen_by", cramped)
    most = 2
    found = predict.outputs_to(model, images, config, cpu)
    assert sizes == [5, 3, 2, 1, 2]
    torch.testing.assert_close(found.logits, expected.logits)
    most = 0
    with pytest.raises(InputError, match="too small for one image"):
        predict.outputs_to(model, images, config, cpu)


def test_of_several_processes_none_adjusts_its_batch_alone(
    settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = trainer(configured(settings, "automatically_adjust_batch_size=true"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="acts with one process only"):
        training.learner._halve(torch.OutOfMemoryError())


def test_a_batch_of_one_image_that_batch_statistics_cannot_take_is_an_error_with_the_way_out(
    settings: list[str],
) -> None:
    more = ["architecture=DeepLabV3Plus", "drop_last_batch=false", "batch_size=11"]
    with pytest.raises(InputError, match=r"one image alone .* drop_last_batch=true"):
        trainer(configured(settings, *more, "epochs=1")).fit()


def test_short_memory_is_an_error_that_tells_what_to_do_unless_it_may_adjust(
    settings: list[str],
) -> None:
    training = trainer(configured(settings))
    short_of_memory(training, 1)
    with pytest.raises(InputError, match="halve batch_size and double grad_accumulation"):
        training.fit()


@pytest.mark.parametrize("pretrained", [True, False])
def test_the_encoder_starts_from_imagenet_weights_if_asked_for(pretrained: bool) -> None:
    config = Config(
        backbone="tu-tf_efficientnet_lite0", pretrained=pretrained, architecture="Linknet"
    )
    learner = Learner(0, 1, False, config, torch.device("cpu"))
    random = build_model(config)
    load_pretrained(random, config)
    encoders = (model.get_submodule("encoder") for model in (learner.model, random))
    ours, theirs = (encoder.state_dict() for encoder in encoders)
    assert same(ours, theirs) == pretrained
    assert (learner.origin == "random weights") != pretrained


class Telling(nn.Module):
    """A network that notes whether it is called in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 3, padding=1)
        self.called: list[torch.dtype] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.convolution(images)
        self.called.append(logits.dtype)
        return logits


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inference", [True, False])
def test_bfloat16_is_used_in_training_and_in_inference_where_each_asks_for_it(
    training: bool, inference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    config = Config(
        backbone="tu-test_efficientnet",
        pretrained=False,
        mixed_precision_training=training,
        mixed_precision_inference=inference,
    )
    learner, cpu = Learner(0, 1, False, config, torch.device("cpu")), torch.device("cpu")
    learner.model = learner.network = telling = Telling()
    pixels = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    batch = Batch(torch.tensor([0]), pixels, pixels, torch.tensor([[32, 32]]), torch.ones(1))
    learner.update([MicroBatch(batch, 1, 1.0)], 0, 10)
    outputs = outputs_of_batch(telling, batch, config, cpu)
    expected = [torch.bfloat16 if mixed else torch.float32 for mixed in (training, inference)]
    assert telling.called == expected
    assert outputs.logits.dtype == torch.float32


@pytest.mark.parametrize("compiled", ["false", "true"])
def test_a_network_is_compiled_if_asked_for_and_keeps_its_names(
    settings: list[str], compiled: str
) -> None:
    """It is not run: that takes a C++ compiler, and minutes."""
    model = trainer(configured(settings, f"compile={compiled}")).learner.model
    assert (model._compiled_call_impl is not None) == (compiled == "true")
    assert not any("_orig_mod" in name for name in model.state_dict())


def test_another_metric_trains_anew_only_where_it_chose_the_weights_that_are_kept(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["epochs=1", "folds=[0]"]
    for kept in ("last", "best"):
        name = [f"experiment_name={kept}", f"save_best_checkpoint={kept == 'best'}".lower()]
        step(1).main(configured(settings, *more, *name))
        step(2).main(configured(settings, *more, *name))
        capsys.readouterr()
        step(2).main(configured(settings, *more, *name, "metric=Dice", "probability_threshold=0.4"))
        out = capsys.readouterr().out
        assert ("metric: 'Dice', 'IoU'; probability_threshold: 0.4, 0.5" in out) == (kept == "best")
        assert ("is trained already" in out) == (kept == "last")
