"""What runs the networks, for score.py: an ONNX file -> a function, on this machine's processor.

Reports of use, which these packages would make, are turned off.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Run = Callable[[Array], list[Array]]  # the graph's input, grey -> its outputs


def openvino(path: Path, precision: str = "f32") -> Run:
    """In float32 also on processors with bfloat16: the self-test holds the masks to the bit."""
    # Its package reports each import to Google Analytics, where it has the means.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    from openvino import Core

    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    network = Core().compile_model(path, "CPU", settings)
    return lambda grey: list(network(grey).values())


def onnxruntime(path: Path) -> Run:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda grey: list(session.run(None, {"grey": grey}))


ENGINES: dict[str, Callable[[Path], Run]] = {
    "openvino": openvino,
    "onnxruntime": onnxruntime,
    "openvino-bf16": partial(openvino, precision="bf16"),
}


def started(path: Path, engine: str) -> tuple[str, Run]:
    """The engine of that name; of "auto", the first that is installed."""
    for name in ENGINES if engine == "auto" else [engine]:
        try:
            return name, ENGINES[name](path)
        except ImportError:
            continue
    package = "-r requirements.txt" if engine == "auto" else engine.removesuffix("-bf16")
    sys.exit(f"The inference engine is not installed: python -m pip install {package}")
