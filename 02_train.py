"""Trains one network a fold, each on the images of the other folds.

runs/<experiment_name>/folds.csv, images -> fold{k}/model.pt, fold{k}/log.csv

A fold that is trained already, with the same settings on the same folds.csv, is left as it is.
"""

from functools import partial

from lib.artifacts.alone import alone
from lib.artifacts.audit import load_audit
from lib.artifacts.caveats import beside_scores, caveats, sentence, training_caveats
from lib.artifacts.folds import load_folds
from lib.artifacts.log import save_log
from lib.artifacts.model import read_model
from lib.artifacts.run import Run, with_drawn_seed
from lib.artifacts.state import delete_state_before
from lib.config.command_line import run
from lib.config.fields import Config, differences, training_settings
from lib.data.layouts import load_settings
from lib.data.table import with_files
from lib.dataset import with_cache
from lib.runtime.memory import keep_freed_memory
from lib.runtime.processes import joined, of_first
from lib.runtime.versions import code_version
from lib.training.loop import Trainer
from lib.training.optimizer import advice
from lib.training.pretrained import sha_of_weights
from lib.training.resume import ENCODER
from tools.watch.watch import watched


def main(config: Config) -> None:
    if config.ensemble:
        print("an ensemble trains nothing: 03_infer.py averages its runs")
        return
    keep_freed_memory()
    with joined(config.gpus), alone(config, "02_train.py", of_first):
        train(of_first(lambda: with_drawn_seed(config)))


def train(config: Config) -> None:
    folds = load_folds(config)
    table = with_files(folds.table, config)
    audit = load_audit(config, folds)
    flattering = training_caveats(config)
    for caveat in caveats(audit, config) + flattering:
        print(sentence(caveat))
    flags = beside_scores(audit["leaks"] + flattering)
    untrained = [
        fold
        for fold in config.fold_numbers
        if not of_first(partial(is_trained, config, fold, folds.sha))
    ]
    if untrained:
        if text := advice(config):
            print(text)
        of_first(partial(with_cache, table, config))  # makes it, for all processes to read
        table = with_cache(table, config)
    for fold in untrained:
        Trainer(folds, table, fold, config, flags, watched).fit()


def is_trained(config: Config, fold: int, folds_sha: str) -> bool:
    """Whether fold{k}/model.pt is what training now would give; says what it found."""
    path = Run.of(config).model(fold)
    if not path.is_file():
        return False
    model = read_model(path)
    changed = differences(config, model.config, training_settings(config))
    if model.folds_sha != folds_sha:
        changed.append("folds.csv is another")
    if model.encoder_sha and sha_of_weights(config) not in ("", model.encoder_sha):
        changed.append(f"{ENCODER} is another")
    if changed:
        print(f"{path} is trained again, for what changed (now, then): {'; '.join(changed)}")
        return False
    save_log(config, fold, model.log)  # a training that was cut off may have left its own
    delete_state_before(config, fold)
    print(f"{path} is trained already")
    if model.code != code_version("lib.training.loop"):
        print(f"{path}: the code that trains has changed since; delete the file to train anew")
    return True


if __name__ == "__main__":
    run(main, __doc__, load_settings)
