"""Trains one network a fold, each on the images of the other folds.

runs/<experiment_name>/folds.csv, images -> fold{k}/model.pt, fold{k}/log.csv

A fold that is trained already, with the same settings on the same folds.csv, is left as it is.
"""

from functools import partial

from lib.artifacts import load_audit, load_folds, model_path, read_model, save_log, with_drawn_seed
from lib.audit import caveats, marks, training_caveats
from lib.config import Config, differences, run, training_settings
from lib.dataset import with_cache
from lib.memory import keep_freed_memory
from lib.processes import joined, of_first
from lib.sources import with_files
from lib.trainer import Trainer, code_version


def main(config: Config) -> None:
    if config.ensemble:
        print("an ensemble trains nothing: 03_infer.py averages its runs")
        return
    keep_freed_memory()
    with joined(config):
        train(of_first(lambda: with_drawn_seed(config)))


def train(config: Config) -> None:
    folds = load_folds(config)
    table = with_files(folds.table, config)
    audit = load_audit(config, folds)
    flattering = training_caveats(config)
    for caveat in caveats(audit, config) + flattering:
        print(caveat)
    flags = marks(audit["leaks"] + flattering)
    untrained = [
        fold
        for fold in config.fold_numbers
        if not of_first(partial(is_trained, config, fold, folds.sha))
    ]
    if untrained:
        of_first(partial(with_cache, table, config))  # makes it, for all processes to read
        table = with_cache(table, config)
    for fold in untrained:
        Trainer(folds, table, fold, config, flags).fit()


def is_trained(config: Config, fold: int, folds_sha: str) -> bool:
    """Whether fold{k}/model.pt is what training now would give; says what it found."""
    path = model_path(config, fold)
    if not path.is_file():
        return False
    model = read_model(path)
    changed = differences(config, model.config, training_settings(config))
    if model.folds_sha != folds_sha:
        changed.append("folds.csv is another")
    if changed:
        print(f"{path} is trained again, for what changed (now, then): {'; '.join(changed)}")
        return False
    save_log(config, fold, model.log)  # a training that was cut off may have left its own
    print(f"{path} is trained already")
    if model.code != code_version():
        print(f"{path}: the code that trains has changed since; delete the file to train anew")
    return True


if __name__ == "__main__":
    run(main, __doc__)
