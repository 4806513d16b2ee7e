"""What runs the networks, for score.py: an ONNX file -> a function, on this machine's processor.

Reports of use, which these packages would make, are turned off.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

if __package__:
    from lib.runtime.cores import usable_cores
else:
    from cores import usable_cores  # type: ignore[import-not-found, no-redef]

Array = np.ndarray[Any, np.dtype[Any]]
Run = Callable[[Array], list[Array]]  # the graph's input, grey -> its outputs


def openvino(path: Path, precision: str = "f32") -> Run:
    """In float32 also on processors with bfloat16: the self-test holds the masks to the bit."""
    # Its package reports each import to Google Analytics, where it has the means.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    from openvino import Core

    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if cores := _fewer_cores():
        settings["INFERENCE_NUM_THREADS"] = str(cores)
    network = Core().compile_model(path, "CPU", settings)
    return lambda grey: list(network(grey).values())


def onnxruntime(path: Path) -> Run:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _fewer_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda grey: list(session.run(None, {"grey": grey}))


def _fewer_cores() -> int:
    """Those it may use, where the machine has more; else 0, which leaves an engine its choice."""
    return usable_cores() if usable_cores() < (os.cpu_count() or 1) else 0


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
