"""The networks of a run -> one ONNX graph.

The graph holds all that a network does between the resized grey image and the mean probability of
the folds' networks, normalisation included: what runs it has nothing to get wrong.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lib.artifacts.folds import Folds
from lib.config.fields import Config
from lib.inference.predict import answer_of, loaded_network
from lib.runtime.errors import InputError
from lib.runtime.files import written_whole
from lib.unet import outputs_of, to_input

LARGEST = 2**31 - 1  # bytes of an .onnx file


class Ensemble(nn.Module):
    """Grey uint8 (1, 1, height, width) -> the networks' mean, as lib/inference/predict.py makes it.

    The probability (1, classes, height, width); then, where all networks tell it, the presence
    (1, classes).
    """

    def __init__(self, networks: Sequence[nn.Module], config: Config) -> None:
        super().__init__()
        self.networks, self._config = nn.ModuleList(networks), config

    def forward(self, grey: Tensor) -> tuple[Tensor, ...]:
        images = to_input(grey, self._config)
        answers = [answer_of(outputs_of(network, images)) for network in self.networks]
        presences = [answer.presence for answer in answers if answer.presence is not None]
        pixels = torch.stack([answer.pixels for answer in answers]).mean(0)
        if len(presences) < len(answers):
            return (pixels,)
        return pixels, torch.stack(presences).mean(0)


def load_ensemble(config: Config, folds: Folds) -> Ensemble:
    """The networks of the run's folds, in float32.

    They are not placed on a device as for inference: an autocast cannot be written into a graph.
    """
    trained = [loaded_network(config, fold, folds.sha) for fold in config.fold_numbers]
    return Ensemble([one.network for one in trained], config).eval()


def write_graph(path: Path, ensemble: Ensemble, config: Config) -> None:
    """ONNX of one image at a time; without the paths of this machine that PyTorch puts into it."""
    import onnx_ir
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    grey = torch.zeros((1, 1, config.image_height, config.image_width), dtype=torch.uint8)
    with torch.inference_mode():
        names = ["probability", "presence"][: len(ensemble(grey))]
    program = torch.onnx.export(
        ensemble.eval(),
        (grey,),
        dynamo=True,
        input_names=["grey"],
        output_names=names,
        verbose=False,
    )
    if program is None:
        raise InputError(f"{config.architecture}: PyTorch cannot write it as ONNX")
    content = onnx_ir.to_proto(ClearMetadataAndDocStringPass()(program.model).model)
    if content.ByteSize() > LARGEST:
        raise InputError(
            f"{len(ensemble.networks)} networks are {content.ByteSize() / 2**30:.1f} GiB and an "
            "ONNX file holds 2: give fewer folds, as in folds=[0]"
        )
    with written_whole(path) as file:
        file.write(content.SerializeToString(deterministic=True))
