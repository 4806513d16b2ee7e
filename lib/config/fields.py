"""Every setting of the pipeline: its name, type, default, range and meaning.

The names and meanings of 59 of them are those of Hydrogen Torch's experiment YAML; the section
`pipeline` holds what this project adds.
"""

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TEST_TIME_AUGMENTATIONS = ("Horizontal flip", "Vertical flip", "Scale", "Rotation")


def setting(
    section: str,
    default: Any,
    about: str,
    *,
    choices: tuple[Any, ...] = (),
    later: tuple[Any, ...] = (),
    low: float = -math.inf,
    high: float = math.inf,
    multiple_of: int = 1,
    only_with: str = "",
) -> Any:
    """A dataclass field: where it stands in the YAML, what it does and which values it takes.

    `choices` are the values that act (empty: any value of the type in low..high); `later` are
    Hydrogen Torch's other values, refused as not built yet; `only_with` names the setting without
    whose values in `later` this one has no effect.
    """
    about_it = {
        "section": section,
        "about": about,
        "choices": choices,
        "later": later,
        "low": low,
        "high": high,
        "multiple_of": multiple_of,
        "only_with": only_with,
    }
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=about_it)
    return field(default=default, metadata=about_it)


def allowed(about: Mapping[str, Any]) -> str:
    """The values that a setting of this metadata takes, for a person; "" where its type says all.

    Its choices, or its range: "0 to 1", "0 or more", "32 to 4096, multiples of 32".
    """
    if about["choices"]:
        return ", ".join(map(str, about["choices"]))
    low, high, step = about["low"], about["high"], about["multiple_of"]
    if math.isinf(low) and math.isinf(high):
        return ""
    ends = f"{low} or more" if math.isinf(high) else f"{low} to {high}"
    return f"{ends}, multiples of {step}" if step > 1 else ends


@dataclass(frozen=True)
class Config:
    """One experiment. The defaults are those of config.yaml."""

    experiment_name: str = setting("", "nerve", "the run's name: it is kept in runs/<name>/")

    architecture: str = setting(
        "architecture",
        "Unet",
        "decoder of the network: one of segmentation-models-pytorch",
        choices=(
            "Unet",
            "UnetPlusPlus",
            "MAnet",
            "Linknet",
            "FPN",
            "PSPNet",
            "PAN",
            "DeepLabV3",
            "DeepLabV3Plus",
            "UPerNet",
            "Segformer",
        ),
    )
    backbone: str = setting(
        "architecture",
        "resnet34",
        "encoder: a name of segmentation-models-pytorch, or tu-NAME for one of timm's",
    )
    pretrained: bool = setting("architecture", True, "start the encoder from ImageNet weights")

    augmentations_strategy: str = setting(
        "augmentation",
        "Soft",
        "changes of training images. Soft: horizontal flip; Medium, Hard: also place, blur, "
        "shadow, speckle and gain, as of another hand or scanner; Custom: as "
        "custom_train_augmentations says",
        choices=("Soft", "Medium", "Hard", "Custom"),
    )
    custom_inference_augmentations: str = setting(
        "augmentation", "", "as custom_train_augmentations, of images to validate and to predict"
    )
    custom_train_augmentations: str = setting(
        "augmentation",
        "",
        "with Custom: serialised albumentations (JSON; IMAGE_HEIGHT, IMAGE_WIDTH: the sizes)",
    )
    cutmix_corner: bool = setting(
        "augmentation", False, "Cutmix's box lies in a corner of the image, not anywhere"
    )
    mix_concentration: float = setting(
        "augmentation",
        1.0,
        "both parameters of the Beta that an image's share in its mixture is drawn from: below 1 "
        "most mixtures are nearly one image, above 1 nearly half and half",
        low=0.01,
        high=100,
    )
    mix_image: str = setting(
        "augmentation",
        "Disabled",
        "each training image with another of its batch: Mixup adds a share of each, Cutmix pastes "
        "a box of the other one",
        choices=("Disabled", "Mixup", "Cutmix"),
    )
    mix_iterations: int = setting(
        "augmentation", 1, "how many times over a batch is mixed", low=1, high=16
    )
    mix_probability: float = setting(
        "augmentation", 1.0, "share of the batches that are mixed", low=0, high=1
    )
    mix_target: str = setting(
        "augmentation", "Ratio", "Ratio: labels in the shares of their images", choices=("Ratio",)
    )

    class_name_column: str = setting(
        "dataset", "class_id", "column of train_dataframe with the class, or a list of classes"
    )
    data_folder: str = setting("dataset", "None", "folder of the training images")
    data_folder_test: str = setting("dataset", "None", "folder of the test images")
    data_sample: float = setting(
        "dataset", 1.0, "share of the images that is used, for a quick try", low=0, high=1
    )
    data_sample_choice: list[str] = setting(
        "dataset",
        ["Train", "Validation"],
        "which part data_sample thins out: Train, Validation or both",
    )
    folds: list[str] = setting(
        "dataset", ["0", "1", "2", "3", "4"], "the folds to validate on, one model each"
    )
    group_fold_column: str = setting(
        "dataset", "subject", "column whose values no two folds share (grouped, automatic)"
    )
    image_column: str = setting("dataset", "image", "column of the tables with the image's name")
    rle_mask_column: str = setting("dataset", "rle_mask", "column with the run lengths")
    test_dataframe: str = setting("dataset", "None", "table of test images: .csv, .pq, .parquet")
    train_dataframe: str = setting(
        "dataset", "None", "table of training images and run lengths, or a COCO .json"
    )
    validation_dataframe: str = setting(
        "dataset", "None", "table of the images to validate on, as fold 0 (with custom)"
    )
    validation_size: float = setting(
        "dataset", 0.2, "share of the images held out, as fold 0 (with automatic)", low=0, high=1
    )
    validation_strategy: str = setting(
        "dataset",
        "grouped",
        "grouped: folds never split a group; automatic: nor does the one part held out; custom: "
        "as validation_dataframe or fold_column says; kfold: frames of one person may stand in "
        "several folds, which flatters every score",
        choices=("grouped", "automatic", "custom", "kfold"),
    )

    gpus: list[str] = setting(
        "environment",
        ["0"],
        "the GPU to use, or several, a process each; without CUDA, or with [], the processor",
    )
    mixed_precision_inference: bool = setting(
        "environment",
        False,
        "16 bits in validation and in 03: bfloat16 where the device has it, else float16 on a GPU",
    )
    mixed_precision_training: bool = setting(
        "environment",
        True,
        "16 bits in training: bfloat16 where the device has it, else float16 on a GPU",
    )
    number_of_workers: int = setting(
        "environment",
        4,
        "processes that read and augment images (at most one a core); they change no result",
        low=0,
        high=256,
    )
    seed: int = setting("environment", 42, "-1 draws one, prints and keeps it", low=-1, high=2**31)

    image_channels: int = setting("image", 3, "channels the network sees", choices=(1, 3))
    image_height: int = setting(
        "image", 448, "rows the network sees", low=32, high=4096, multiple_of=32
    )
    image_normalization: str = setting(
        "image",
        "Simple",
        "grey values 0..255 become: Simple: 0..1; ImageNet: that, less its means, over its SDs; "
        "Image, Channel: less the image's mean, over its SD; Min_Max: the image's own 0..1; None: "
        "as they are",
        choices=("Simple", "ImageNet", "Image", "Channel", "Min_Max", "None"),
    )
    image_width: int = setting(
        "image", 448, "columns the network sees", low=32, high=4096, multiple_of=32
    )

    logger: str = setting(
        "logging",
        "None",
        "tracker of experiments. TensorBoard: event files in fold{k}/; MLflow: "
        "runs_folder/mlflow.db; nothing leaves the machine",
        choices=("None", "TensorBoard", "MLflow"),
        later=("Neptune",),
    )
    neptune_project: str = setting("logging", "", "project at Neptune", only_with="logger")

    metric: str = setting("prediction", "IoU", "the headline score", choices=("IoU", "Dice"))
    probability_threshold: float = setting(
        "prediction",
        0.5,
        "a pixel above it is nerve: in validation, and in 04 where tune_decision is false",
        low=0,
        high=1,
    )
    test_time_augmentations: list[str] = setting(
        "prediction",
        [],
        "views of an image whose probabilities 03 averages: Horizontal flip, Vertical flip (with "
        "both, the product: 4 views); Scale: two more, at about .85 and 1.15 of the size; "
        "Rotation: two more, by 6 degrees either way. Each view costs as much as the first",
    )

    automatically_adjust_batch_size: bool = setting(
        "training",
        False,
        "where the GPU's memory does not suffice, halve the batch and accumulate: an update stays "
        "that of batch_size images",
    )
    batch_size: int = setting("training", 16, "images a step", low=1, high=4096)
    build_scoring_pipelines: bool = setting(
        "training",
        False,
        "04 writes scoring/: the networks as ONNX and a scorer that needs neither torch nor this "
        "repository",
    )
    calculate_train_metric: bool = setting(
        "training",
        False,
        "score the training images too, as they are trained on: augmented, at the network's size",
    )
    differential_learning_rate: float = setting(
        "training",
        0.001,
        "learning rate of the layers listed",
        low=0,
        high=100,
    )
    differential_learning_rate_layers: list[str] = setting(
        "training", [], "layers with their own rate: encoder, decoder, segmentation_head"
    )
    drop_last_batch: bool = setting("training", True, "leave out an epoch's last partial batch")
    epochs: int = setting("training", 5, "times through the training images", low=1, high=100_000)
    evaluation_epochs: float = setting(
        "training", 1.0, "epochs between validations, which may be part of one", low=0.001
    )
    grad_accumulation: int = setting(
        "training", 1, "batches whose gradients make one update", low=1, high=4096
    )
    gradient_clip: float = setting("training", 0.0, "largest gradient norm; 0: no limit", low=0)
    learning_rate: float = setting("training", 0.001, "peak learning rate", low=0, high=100)
    loss_function: str = setting(
        "training",
        "BCEDice",
        "BCEDice, FocalDice: the sum of both; Jaccard: soft IoU; Lovasz: the hinge of IoU; "
        "Tversky: Dice whose misses weigh 1.4, false positives .6",
        choices=("BCEDice", "BCE", "Dice", "Focal", "FocalDice", "Jaccard", "Lovasz", "Tversky"),
    )
    optimizer: str = setting(
        "training",
        "AdamW",
        "optimizer; SGD and RMSprop with a momentum of 0.9. On a phantom AdamW, Adam and NAdamW "
        "learned with a learning_rate of 0.001, RMSprop with 0.0001, Adadelta with 1, SGD with 0.1 "
        "and a gradient_clip of 1",
        choices=("AdamW", "Adam", "NAdamW", "SGD", "RMSprop", "Adadelta"),
    )
    save_best_checkpoint: bool = setting(
        "training",
        False,
        "keep the weights that score best on the fold, not the last: it flatters, and says so",
    )
    schedule: str = setting(
        "training",
        "Cosine",
        "learning rate, a step at a time: Cosine and Linear fall to zero, OneCycle climbs first",
        choices=("Cosine", "Constant", "Linear", "OneCycle"),
    )
    train_validation_data: bool = setting(
        "training",
        False,
        "train on the fold's images too: its scores are then not out of fold, which they say",
    )
    warmup_epochs: float = setting(
        "training", 0.0, "epochs in which the rate climbs from zero", low=0
    )
    weight_decay: float = setting("training", 0.0, "weight decay of the optimizer", low=0, high=100)

    cache_gib: float = setting(
        "pipeline",
        4.0,
        "room for training images already read and resized, in runs_folder/.cache; 0: none",
        low=0,
    )
    checkpoint_minutes: float = setting(
        "pipeline", 5.0, "at most so long between two states of a training to go on from", low=0
    )
    compile: bool = setting(
        "pipeline", False, "torch.compile: pays on a GPU and long runs; needs a C++ compiler"
    )
    deterministic: bool = setting(
        "pipeline", False, "on a GPU, only kernels that give the same bytes again; slower"
    )
    dice_weight: float = setting(
        "pipeline", 1.0, "weight of Dice in BCEDice and FocalDice", low=0, high=100
    )
    early_stopping_epochs: float = setting(
        "pipeline",
        0.0,
        "stop where the fold's score has not risen for so many epochs, which flatters it; 0: never",
        low=0,
    )
    ema_decay: float = setting(
        "pipeline",
        0.0,
        "validate and keep a moving average of the weights, with this decay, such as .999; 0: none",
        low=0,
        high=0.999999,
    )
    ensemble: list[str] = setting(
        "pipeline",
        [],
        "folders of runs, such as [runs/a, 'runs/b:2'], 2 being a weight: nothing is trained, 03 "
        "averages their probability files; they must have the same folds.csv",
    )
    fill_outlines: str = setting(
        "pipeline",
        "auto",
        "masks that are closed lines become areas; auto: where most of a set are",
        choices=("auto", "always", "never"),
    )
    fold_column: str = setting(
        "pipeline", "fold", "column of train_dataframe with folds counted from 0 (with custom)"
    )
    image_bits: int = setting(
        "pipeline", 16, "bits that images of more than 8 use, where no DICOM tells", low=8, high=16
    )
    invert_masks: bool = setting(
        "pipeline", False, "masks are 0 where the nerve is, as black drawn on white"
    )
    label_policy: str = setting(
        "pipeline",
        "keep",
        "training images whose near-duplicate is labelled otherwise: keep them; drop_empty_twin: "
        "leave out the one without any mask; downweight: both count half",
        choices=("keep", "drop_empty_twin", "downweight"),
    )
    mask_folder: str = setting(
        "pipeline", "None", "folder of mask pictures named as the images; a subfolder a class"
    )
    mask_folder_test: str = setting(
        "pipeline", "None", "folder of the masks of the test images, which 04 then scores too"
    )
    missing_mask: str = setting(
        "pipeline",
        "error",
        "an image without a mask file, where masks are pictures: an error, or empty, an image "
        "without a nerve",
        choices=("error", "empty"),
    )
    n_folds: int = setting("pipeline", 5, "folds the images are divided into", low=2, high=1000)
    nsd_tolerance: float = setting(
        "pipeline",
        7.0,
        "pixels that the boundary of a mask may be off and still be right, in the score nsd: as "
        "far as labels of nearly the same picture of the competition are apart: docs/evaluation.md",
        low=0,
    )
    nsd_tolerance_mm: float = setting(
        "pipeline",
        1.0,
        "the same in millimetres, in the score nsd_mm of images whose spacing is known",
        low=0,
    )
    pixel_spacing_mm: list[float] = setting(
        "pipeline",
        [],
        "millimetres a pixel of all images, such as 0.1, or down and across, such as [0.1, 0.08]: "
        "scores are told in millimetres too; []: as DICOM, NIfTI, NRRD and MetaImage files tell",
    )
    positive_share: list[float] = setting(
        "pipeline",
        [],
        "share of images with a mask among those trained on, in the first epoch and in the last, "
        "such as [0.8, 0.4]; between them a line; []: as they are",
    )
    presence_head: float = setting(
        "pipeline",
        0.0,
        "weight of the loss of a head that tells whether there is a nerve at all; 0: no such head",
        low=0,
        high=100,
    )
    pretrained_weights: str = setting(
        "pipeline", "None", "a local file of encoder weights: .pth, .pt or .safetensors"
    )
    quarantine: bool = setting(
        "pipeline", False, "leave out images that cannot be used, and list them, instead of ending"
    )
    quiet: bool = setting("pipeline", False, "show no progress, only results and what is wrong")
    reader_margin: float = setting(
        "pipeline",
        0.05,
        "how much less than a second reader the network may score, in the metric, and still count "
        "as not inferior",
        low=0.001,
        high=1,
    )
    rle_order: str = setting(
        "pipeline",
        "columns",
        "run lengths of the tables go down the columns first, as the competition's, or along rows",
        choices=("columns", "rows"),
    )
    rle_start: int = setting(
        "pipeline", 1, "number of the first pixel in the run lengths", choices=(1, 0)
    )
    runs_folder: str = setting("pipeline", "runs", "folder of all runs, and of unpacked zips")
    second_reader: str = setting(
        "pipeline",
        "None",
        "labels of the same images by a second person: a folder of masks, a table or a labelling "
        "tool's file; nothing is trained on them, 04 tells how far both agree",
    )
    subject_pattern: str = setting(
        "pipeline",
        "",
        "regular expression of the person in the path of an image, its first group; empty: by "
        "folders or names such as 17_3, where no table or DICOM tells; none: nobody is guessed",
    )
    test: str = setting(
        "pipeline",
        "None",
        "in place of the test set, new images without a table: a folder, a zip, one image or one "
        "video (.mp4, .avi, .mov), whose frame k becomes the image NAME_k",
    )
    time_budget_minutes: float = setting(
        "pipeline", 0.0, "end the training of a fold after so long and keep it; 0: no limit", low=0
    )

    test_positive_share: float = setting(
        "pipeline",
        0.0,
        "share of the test images that show a nerve, for which the decision is tuned; 0: that of "
        "the training images",
        low=0,
        high=1,
    )
    tune_decision: bool = setting(
        "pipeline",
        True,
        "choose the rule from probabilities to masks on the out-of-fold images; false: the pixels "
        "above probability_threshold",
    )

    @property
    def fold_numbers(self) -> list[int]:
        """The folds to train, predict and score: of a single part held out, the one called 0."""
        return [0] if self.one_part else [int(fold) for fold in self.folds]

    @property
    def members(self) -> dict[str, float]:
        """The folders of the ensemble's runs, and their weights, which sum to 1."""
        weights = dict(map(run_and_weight, self.ensemble))
        return {run: weight / sum(weights.values()) for run, weight in weights.items()}

    @property
    def one_part(self) -> bool:
        """Whether one part is held out, in place of each fold in its turn."""
        custom = self.validation_strategy == "custom" and self.validation_dataframe != "None"
        return custom or self.validation_strategy == "automatic"


# Settings of older versions: the value that did nothing, and what to do about any other.
REMOVED: dict[str, tuple[Any, str]] = {
    "fit_ensemble": (
        False,
        "delete it; runs count alike, or by the weights that you give, as in "
        "ensemble=[runs/a, 'runs/b:2']",
    ),
    "mask_pca": (0, "delete it; projecting masks on principal components scored no better"),
}

FIELDS = {item.name: item for item in dataclasses.fields(Config)}

TYPES = typing.get_type_hints(Config)


def differences(config: Config, other: Config, names: Iterable[str]) -> list[str]:
    """`name: its value, the other's` of those settings that differ."""
    return [
        f"{name}: {getattr(config, name)!r}, {getattr(other, name)!r}"
        for name in sorted(names)
        if getattr(config, name) != getattr(other, name)
    ]


def run_and_weight(text: str) -> tuple[str, float]:
    """`runs/a:2` -> its folder and weight; 1 where there is none, NaN where it is no number."""
    run, colon, weight = text.rpartition(":")
    if not colon:
        return text, 1.0
    try:
        return run, float(weight)
    except ValueError:
        return run, math.nan


def _names_in(*sections: str) -> set[str]:
    return {name for name, item in FIELDS.items() if item.metadata["section"] in sections}


DEFAULTS = Config()

# What a trained network's predictions depend on besides its weights, and what its weights do.
NETWORK_SETTINGS = _names_in("architecture", "image") - {"pretrained"} | {"image_bits"}

TRAINING_SETTINGS = (
    _names_in("architecture", "image", "augmentation", "training") - {"build_scoring_pipelines"}
) | {
    "compile",
    "data_sample",
    "data_sample_choice",
    "deterministic",
    "dice_weight",
    "early_stopping_epochs",
    "ema_decay",
    "image_bits",
    "mixed_precision_training",
    "positive_share",
    "presence_head",
    "pretrained_weights",
    "seed",
    "time_budget_minutes",
}

# Where the score chooses the weights to keep, they depend on these too.
SCORE_SETTINGS = {"metric", "mixed_precision_inference", "probability_threshold"}


def training_settings(config: Config) -> set[str]:
    """Those that the end of this training depends on."""
    by_score = config.save_best_checkpoint or config.early_stopping_epochs > 0
    return TRAINING_SETTINGS | SCORE_SETTINGS if by_score else TRAINING_SETTINGS
