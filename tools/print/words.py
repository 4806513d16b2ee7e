"""What the templates of texts/ call: phrases about a run, made of facts."""

from pathlib import Path
from typing import Any

from lib.artifacts.caveats import Caveat, sentence
from lib.config.fields import FIELDS
from lib.decision.measures import names_of
from lib.decision.results import Results
from lib.decision.text import digits_of
from tools.print.facts import Facts, plain, written
from tools.print.sources import ALL_SPEEDS, GIVEN, INSTALLED, SECONDS

DECISION, AUDIT = "decision.json", "folds_audit.json"
ENTRIES = "(entries)"  # a number of things that stand there


class Words:
    """Each method gives a phrase, and keeps in `facts` where its numbers are from."""

    def __init__(self, facts: Facts, results: Results) -> None:
        self.facts, self._results = facts, results
        self._names = names_of(results.config)

    def setting(self, name: str, digits: int | None = None, times: float = 1) -> str:
        """From config.yaml, or from the command line where that says something else."""
        section = FIELDS[name].metadata["section"]
        key = (section, name) if section else (name,)
        if name in self.facts.value(GIVEN):
            return self.facts.tell(GIVEN, name, digits=digits, times=times)
        return self.facts.tell("config.yaml", *key, digits=digits, times=times)

    def file_in(self, name: str) -> str:
        """The last name of the path that a setting holds."""
        value = str(getattr(self._results.config, name))
        return self._of_setting(name, plain(Path(value).name))

    def _of_setting(self, name: str, text: str) -> str:
        return self.facts.note(text, "config.yaml", (FIELDS[name].metadata["section"], name), text)

    def members(self) -> str:
        """The runs of an ensemble by the last names of their folders, with their weights."""
        key = ("inference", "weights")
        weights: dict[str, float] = self.facts.value(DECISION, *key)
        return ", ".join(
            self.facts.note(f"{plain(name)} ({weight:.3g})", DECISION, (*key, name), weight)
            for name, weight in ((Path(run).name, weight) for run, weight in weights.items())
        )

    def audit(self, *key: str | int, digits: int | None = None, times: float = 1) -> str:
        return self.facts.tell(AUDIT, *key, digits=digits, times=times)

    def minutes(self) -> str:
        """Of all trainings together."""
        return self.facts.tell(ALL_SPEEDS, SECONDS, digits=1, times=1 / 60)

    def hardware(self) -> str:
        """What the folds were trained on and with; each once."""
        told: dict[tuple[str, str], str] = {}
        for fold in self._results.config.fold_numbers:
            file = f"fold{fold}/speed.csv"
            if file in self.facts.files:
                row = self.facts.value(file, "last row")
                told.setdefault((row["device"], row["torch"]), file)
        parts = [
            f"{self.facts.tell(file, 'last row', 'device')} with PyTorch "
            + self.facts.tell(file, "last row", "torch")
            for file in told.values()
        ]
        return " and ".join(parts)

    def epochs_trained(self, epochs: dict[str, int]) -> str:
        """fold 0: 3, fold 1: 4; `epochs` are the last of each fold's log.csv."""
        return ", ".join(
            self.facts.note(
                f"fold {fold}: {last}", f"fold{fold}/log.csv", ("last row", "epoch"), last
            )
            for fold, last in epochs.items()
        )

    def version(self, package: str) -> str:
        return self.facts.tell(INSTALLED, package)

    def folds_made(self) -> str:
        """How many parts can be held out; images that are always trained on are none."""
        folds = [fold for fold in self.facts.value(AUDIT, "folds") if fold["fold"] >= 0]
        return self.facts.note(str(len(folds)), AUDIT, ("folds", ENTRIES), len(folds))

    def folds_scored(self) -> str:
        number = len(self.facts.value(DECISION, "by_fold"))
        return self.facts.note(str(number), DECISION, ("by_fold", ENTRIES), number)

    def masks(self, name: str, *key: str | int, digits: int | None = None, times: float = 1) -> str:
        """Of the true masks of a class."""
        return self.audit("inventory", "classes", name, *key, digits=digits, times=times)

    def decision(self, *key: str | int, digits: int | None = None, times: float = 1) -> str:
        return self.facts.tell(DECISION, *key, digits=digits, times=times)

    def score(self, column: str, *key: str | int) -> str:
        """0.823 (0.769 to 0.875), of a set of images in decision.json."""
        mean = self.decision(*key, column, digits=3)
        return mean + self._interval((*key, f"{column}_interval"), 3)

    def measure(self, of: str, name: str) -> str:
        """The mean with its interval, and the median, of one of decision.json's measures."""
        key, digits = ("measures", "all", of, name), digits_of(name)
        mean = self.decision(*key, "mean", digits=digits)
        mean += self._interval((*key, "interval"), digits)
        return f"{mean}, median {self.decision(*key, 'median', digits=digits)}"

    def _interval(self, key: tuple[str | int, ...], digits: int) -> str:
        if self.facts.value(DECISION, *key) is None:
            return ""
        low, high = (self.decision(*key, end, digits=digits) for end in (0, 1))
        return f" ({low} to {high})"

    def name(self, measure: str) -> str:
        """What a measure is called, with its tolerance."""
        text = self._names[measure]
        return self.facts.note(text, "lib/decision/measures.py", ("names_of", measure), text)

    def class_name(self, name: str) -> str:
        return self.facts.note(plain(name), "folds.csv", ("columns",), name)

    def counted(self, *key: str | int) -> str:
        """420x580 (300), 256x186 (12): the four most frequent values of a table in the audit."""
        found: dict[str, int] = self.facts.value(AUDIT, *key)
        told = [
            self.facts.note(f"{plain(value)} ({count})", AUDIT, (*key, value), count)
            for value, count in list(found.items())[:4]
        ]
        return ", ".join(told) + (" and others" if len(found) > 4 else "")

    def code(self, value: Any, file: str, name: str) -> str:
        """A number that stands in the code, not in a file of the run."""
        return self.facts.note(written(value), file, (name,), value)

    def caveat(self, caveat: Caveat) -> str:
        """A sentence from decision.json."""
        return self.said(sentence(caveat).removesuffix("."), DECISION, "caveats")

    def said(self, text: str, file: str, *key: str | int) -> str:
        """A sentence that holds numbers of its own."""
        return self.facts.note(plain(text), file, key, text)
