"""The folder of a run, and config.yaml: every setting of it."""

import random
from dataclasses import replace
from pathlib import Path

from lib.config.fields import Config
from lib.config.read import load_config, to_yaml
from lib.runtime.files import written_whole


def run_folder(config: Config) -> Path:
    return Path(config.runs_folder) / config.experiment_name


# config.yaml: every setting of the run


def save_config(config: Config) -> None:
    with written_whole(run_folder(config) / "config.yaml") as file:
        file.write(to_yaml(config).encode())


def with_drawn_seed(config: Config) -> Config:
    """Where the seed is -1, that of the run's config.yaml, else one drawn now; prints it."""
    if config.seed != -1:
        return config
    path = run_folder(config) / "config.yaml"
    if path.is_file():
        seed, origin = load_config(path).seed, f"kept in {path}"
    else:
        seed, origin = random.SystemRandom().randrange(1_000_000), "drawn"
    print(f"seed: {seed} ({origin})")
    return replace(config, seed=seed)
