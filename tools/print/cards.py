"""What the Hugging Face hub reads at the top of a card: YAML, after its specifications.

https://github.com/huggingface/hub-docs: modelcard.md and datasetcard.md
"""

from typing import Any

import yaml

from lib.artifacts.caveats import marks
from lib.decision.results import Results
from lib.metric import Metric
from tools.print.facts import plain
from tools.print.sources import SEEN, has_mark

UNLICENSED = "# The licence is open: for the author. That of the code says nothing about this.\n"
LICENCE = {"license": "other", "license_name": "open-for-the-author"}
TAGS = ["image-segmentation", "ultrasound", "nerve", "medical-imaging"]
SIZES = {
    1_000: "n<1K",
    10_000: "1K<n<10K",
    100_000: "10K<n<100K",
    1_000_000: "100K<n<1M",
    10_000_000: "1M<n<10M",
}


def front_of_model(results: Results) -> str:
    config = results.config
    return _yaml(
        {
            **LICENCE,
            "library_name": "pytorch",
            "pipeline_tag": "image-segmentation",
            "tags": [*TAGS, *_phantom(results)],
            "metrics": [metric.column for metric in Metric],
            "model-index": [{"name": plain(config.experiment_name), "results": _results(results)}],
        }
    )


def _results(results: Results) -> list[dict[str, Any]]:
    """An entry for each set of images that is scored."""
    decision = results.decision
    how = "images trained on" if has_mark(results, SEEN) else "out of fold"
    sets = {
        f"{how}, all": decision["scores"]["all"],
        f"{how}, those that show the structure": decision["scores"]["with_nerve"],
    }
    if test := decision.get("test_scores"):
        sets["labelled test images"] = test["all"]
    words = "".join(f", {mark}" for mark in marks(results.decision["caveats"]))
    return [
        {
            "task": {"type": "image-segmentation", "name": "Nerves in ultrasound images"},
            "dataset": {"type": "private", "name": _data_name(results), "split": split},
            "metrics": _metrics(found, words),
        }
        for split, found in sets.items()
        if found["iou"] is not None
    ]


def _metrics(found: dict[str, Any], words: str) -> list[dict[str, Any]]:
    """Means over images; the marks of the scores go with the names, as the hub shows no others."""
    return [
        {
            "type": metric.column,
            "name": f"mean {metric} over images{words}",
            "value": round(found[metric.column], 4),
        }
        for metric in Metric
    ]


def front_of_data(results: Results) -> str:
    images = results.audit["inventory"]["images"]
    size = next((name for limit, name in SIZES.items() if images < limit), "n>10M")
    return _yaml(
        {
            **LICENCE,
            "pretty_name": _data_name(results),
            "task_categories": ["image-segmentation"],
            "size_categories": [size],
            "tags": [*TAGS[1:], *_phantom(results)],
        }
    )


def _data_name(results: Results) -> str:
    return "drawn ultrasound frames (PHANTOM)" if _phantom(results) else "open: name of the data"


def _phantom(results: Results) -> list[str]:
    return ["phantom", "synthetic"] if results.audit.get("phantom") else []


def _yaml(content: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return (UNLICENSED + text).strip()
