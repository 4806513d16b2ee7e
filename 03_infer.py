"""Predicts every training image by the network that never saw it, every test image by all.

fold{k}/model.pt, folds.csv, images -> oof_fold{k}.npz, test.npz (where there is a test set)

A file whose models, images and settings are as they were is left as it is; one that was begun is
gone on with. With `ensemble`, the same files of several runs take the models' place. Several
processes share the images: torchrun --nproc-per-node=2 03_infer.py ...
"""

from functools import partial

from lib.artifacts.alone import alone
from lib.artifacts.audit import load_audit
from lib.artifacts.caveats import training_caveats
from lib.artifacts.folds import Folds, load_folds, unseen_rows
from lib.artifacts.inference_settings import InferenceSettings
from lib.artifacts.probabilities import origins_of
from lib.artifacts.run import Run
from lib.config.command_line import run
from lib.config.fields import Config
from lib.data.images_of_test import left_out_of_test, read_test_table
from lib.data.layouts import load_settings
from lib.data.table import with_files, with_sha
from lib.inference.ensemble import averaged, caveats_of, opened_members
from lib.inference.looks import known_images, of_one_network, unlike
from lib.inference.predict import packed_predictions, trained_network
from lib.inference.prediction_file import PredictionFile, provenance, write_unless_done
from lib.inference.tta import views_of
from lib.runtime.device import describe, device_of, set_up
from lib.runtime.memory import keep_freed_memory
from lib.runtime.processes import joined, of_first


def main(config: Config) -> None:
    keep_freed_memory()
    with joined(config.gpus), alone(config, "03_infer.py", of_first):
        folds = load_folds(config)
        files = of_first(partial(files_to_make, folds, config))
        if config.ensemble:
            average_runs(files, folds, config)
        else:
            predict_by_networks(files, folds, config)


def files_to_make(folds: Folds, config: Config) -> list[PredictionFile]:
    """That of each fold, and of the test set where there is one."""
    table, place = with_files(folds.table, config), Run.of(config)
    files = [
        PredictionFile(place.oof(fold), fold, unseen_rows(table, fold, config))
        for fold in config.fold_numbers
    ]
    left_out = left_out_of_test(load_audit(config, folds), config)
    test = read_test_table(config, left_out)
    if test is None:
        print("there is no test set")
        return files
    if left_out:
        print(f"QUARANTINE: {len(left_out)} test images could not be used and are not predicted")
    usable = test.dropna(subset="file").reset_index(drop=True)
    return [*files, PredictionFile(place.test, None, with_sha(usable))]


def predict_by_networks(files: list[PredictionFile], folds: Folds, config: Config) -> None:
    device, views = device_of(config.gpus), len(views_of(config))
    set_up(device, config.deterministic)
    print(f"on {describe(device, config.mixed_precision_inference)}")
    if views > 1:
        print(f"{views} views of each image, so {views} times the work of one")
    trained = {k: trained_network(config, k, folds.sha, device) for k in config.fold_numbers}
    for file in files:
        of_file = trained if file.fold is None else {file.fold: trained[file.fold]}
        models = list(of_file.values())
        settings = InferenceSettings.of_networks(config, all(m.presence_head for m in models))
        origins = {str(fold): model.sha for fold, model in of_file.items()}
        caveats = [caveat for model in models for caveat in training_caveats(model.settings)]
        made_from = provenance(file, folds, origins, settings, caveats)
        of_test = file.fold is None
        looks_of = unlike(known_images(folds, config)) if of_test else of_one_network
        networks = [model.network for model in models]
        make = partial(packed_predictions, networks, config, device, looks_of)
        write_unless_done(file, made_from, f"by {len(models)} network(s)", config.batch_size, make)


def average_runs(files: list[PredictionFile], folds: Folds, config: Config) -> None:
    """The weighted mean of the probability files of the runs of the ensemble."""
    origins = of_first(lambda: {f.path: origins_of(f.path, config, []) for f in files})
    by = "by " + ", ".join(f"{run} ({weight:.4g})" for run, weight in config.members.items())
    for file in files:
        with opened_members(file.path, file.images, folds, config) as members:
            heads = all(member.provenance["presence_head"] for member in members)
            settings = InferenceSettings.of_ensemble(config, heads)
            made_from = provenance(file, folds, origins[file.path], settings, caveats_of(members))
            make = partial(averaged, members, list(config.members.values()))
            write_unless_done(file, made_from, by, config.batch_size, make)


if __name__ == "__main__":
    run(main, __doc__, load_settings)
