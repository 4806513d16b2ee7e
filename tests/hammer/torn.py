"""Each file of a finished run cut off at 20 places, and single bits of it turned over."""

import io
import random
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from lib.artifacts.run import Run
from lib.config.command_line import require_unchanged
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.runtime.errors import InputError
from tests.conftest import chain, configured, settings_in, step, write_competition
from tests.hammer.runs import hashes
from tests.hammer.table import Try

ARTIFACTS = (
    "config.yaml",
    "folds.csv",
    "folds_audit.json",
    "quarantine.csv",
    "test_labels.csv",
    "contradictions.csv",
    "fold0/model.pt",
    "fold0/state.pt",
    "fold0/log.csv",
    "fold1/speed.csv",
    "oof_fold0.npz",
    "test.npz",
    "decision.json",
    "oof_iou.csv",
    "test_iou.csv",
    "submission.csv",
    "checksums.json",
    "fold0/checksums.json",
)
CUTS = 20
READERS = (2, 3, 4)  # the steps that read what the ones before have left


class Finished:
    """A run that all steps have made, a copy to go back to, and its hashes."""

    def __init__(self, folder: Path) -> None:
        self.words = [*settings_in(folder), "backbone=tu-test_resnet", "quiet=true"]
        self.words.append("checkpoint_minutes=0")
        self.run, self._copy = folder / "runs" / "nerve", folder / "copy"
        write_competition(folder / "data")
        with redirect_stdout(io.StringIO()):
            chain(configured(self.words))
            step(4).main(configured(self.words))  # once more, as after a damage: it says the same
        shutil.copytree(self.run, self._copy)
        self.hashes = hashes(self.run)

    def back(self) -> None:
        shutil.rmtree(self.run)
        shutil.copytree(self._copy, self.run)

    def judged(self, name: str) -> str:
        """What is wrong with how the steps take the damage to the file; empty: nothing.

        Either one of them refuses by its name, or they all end with what was there before.
        """
        said = io.StringIO()
        try:
            with redirect_stdout(said), redirect_stderr(said):
                for number in READERS:
                    step(number).main(self._config(name))
        except InputError as error:
            return "" if name in str(error) else f"refused without its name: {error}"
        except Exception as error:
            return f"a traceback: {type(error).__name__}: {error}"
        now = hashes(self.run)
        other = [key for key, value in self.hashes.items() if now.get(key) != value]
        return f"taken silently, and so differ: {', '.join(other)}" if other else ""

    def _config(self, name: str) -> Config:
        """From the command line, or as the run has them."""
        if name == "config.yaml":
            require_unchanged(self.run / name, begins=False)
            return load_settings(self.run / name)
        return configured(self.words)


def torn(folder: Path, random: random.Random) -> Iterator[Try]:
    """Cut off at 20 places, the ends among them."""
    finished = Finished(folder)
    for name in ARTIFACTS:
        path = finished.run / name
        if not path.is_file():
            continue
        content = path.read_bytes()
        places = sorted(random.sample(range(len(content)), min(CUTS - 1, len(content))))
        for place in {0, *places}:
            finished.back()
            _prepare(finished, name)
            path.write_bytes(content[:place])
            yield Try(f"{name} cut off after {place} bytes", finished.judged(name))


def flipped(folder: Path, random: random.Random) -> Iterator[Try]:
    """One bit of one file."""
    finished = Finished(folder)
    names = [name for name in ARTIFACTS if (finished.run / name).is_file()]
    while True:
        name = random.choice(names)
        finished.back()
        _prepare(finished, name)
        path = finished.run / name
        content = bytearray(path.read_bytes())
        bit = random.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        yield Try(f"{name}, bit {bit}", finished.judged(name))


def _prepare(finished: Finished, name: str) -> None:
    """A state is only read where there is no model yet."""
    if name.endswith("state.pt"):
        Run(finished.run).model(0).unlink()
