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
from lib.inference.looks import known_images
from lib.inference.predict import answer_of, loaded_network
from lib.quality.unlike import Known
from lib.runtime.errors import InputError
from lib.runtime.files import written_whole
from lib.unet import seen_by, to_input

LARGEST = 2**31 - 1  # bytes of an .onnx file


class Ensemble(nn.Module):
    """Grey uint8 (1, 1, height, width) -> the networks' mean, as lib/inference/predict.py makes it.

    The probability (1, classes, height, width); then, where all networks tell it, the presence
    (1, classes); then, where `known` has what each network knows, how many times as far as usual
    the image is from that (1,), the mean over networks as in lib/inference/looks.py.
    """

    def __init__(
        self, networks: Sequence[nn.Module], config: Config, known: Sequence[Known] = ()
    ) -> None:
        super().__init__()
        self.networks, self._config = nn.ModuleList(networks), config
        self.known = nn.ModuleList(map(Distance, known))

    def forward(self, grey: Tensor) -> tuple[Tensor, ...]:
        images = to_input(grey, self._config)
        outputs = [seen_by(network, images) for network in self.networks]
        answers = [answer_of(output) for output in outputs]
        found = [torch.stack([answer.pixels for answer in answers]).mean(0)]
        presences = [answer.presence for answer in answers if answer.presence is not None]
        if len(presences) == len(answers):
            found.append(torch.stack(presences).mean(0))
        if self.known:
            pairs = zip(self.known, outputs, strict=True)
            times = [distance(output.features) for distance, output in pairs]
            found.append(torch.stack(times).mean(0))
        return tuple(found)


class Distance(nn.Module):
    """Known.times_as_far in a graph: features (n, channels) -> (n,)."""

    mean: Tensor
    spread: Tensor
    inverse: Tensor

    def __init__(self, known: Known) -> None:
        super().__init__()
        for name, values in zip(("mean", "spread", "inverse"), known, strict=False):
            self.register_buffer(name, torch.from_numpy(values).float())
        self._usual = known.usual

    def forward(self, features: Tensor) -> Tensor:
        scaled = (features - self.mean) / self.spread
        return ((scaled @ self.inverse) * scaled).sum(-1).sqrt() / self._usual


def load_ensemble(config: Config, folds: Folds) -> Ensemble:
    """The networks of the run's folds, in float32, and what they know.

    They are not placed on a device as for inference: an autocast cannot be written into a graph.
    """
    trained = [loaded_network(config, fold, folds.sha) for fold in config.fold_numbers]
    told = known_images(folds, config)
    known = [one for one in told if one is not None]
    networks = [one.network for one in trained]
    return Ensemble(networks, config, known if len(known) == len(told) else ()).eval()


def write_graph(path: Path, ensemble: Ensemble, config: Config) -> None:
    """ONNX of one image at a time; without the paths of this machine that PyTorch puts into it."""
    import onnx_ir
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    grey = torch.zeros((1, 1, config.image_height, config.image_width), dtype=torch.uint8)
    with torch.inference_mode():
        outputs = len(ensemble(grey))
    names = ["probability", *["presence"] * (outputs - 1 - bool(ensemble.known))]
    names += ["unlike"] * bool(ensemble.known)
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
