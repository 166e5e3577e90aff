"""The VQ-GAN of single frames (dissertation, section 3.2), and the discriminator that it trains against.

Shapes: B clips, T frames, C H W frame, h w grid, V codes, D channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.teco.blocks import convolution, down, norm, up
from flexlam_rl.models.teco.config import VQGANConfig
from flexlam_rl.nn.frames import to_bytes, to_unit
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.quantizers.interface import Quantized
from flexlam_rl.nn.quantizers.vq import VQ

TOGETHER = {"cpu": 16}
"""Frames per encoder call by kind of device: activations of so many lie in a core's cache, which halves the time."""
MOST = 512
"""Frames per encoder call on other devices; all frames of long clips at once would fill a GPU's memory."""


class VQGAN(PretrainedModel):
    """Encodes each frame as a grid of codes, and decodes it."""

    config_class = VQGANConfig

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.base * multiplier for multiplier in config.multipliers]
        sizes = (widths, config.blocks)
        self.encoder = down(
            config.channels, *sizes, config.dim, config.halvings, config.image_size, config.attention_side
        )
        self.decoder = up(config.dim, *sizes, config.channels, config.halvings, config.side, config.attention_side)
        self.quantizer = VQ(config.codes, config.dim, config.decay, config.commitment, config.restart)

    @property
    def last_weight(self) -> Tensor:
        """Weight of the decoder's last layer; gradients there determine the weight of the adversarial loss."""
        weight = self.decoder[-1].weight
        assert isinstance(weight, Tensor)
        return weight

    def quantize(self, frames: Tensor) -> Quantized:
        """Compute codes (B, h, w) and vectors (B, h, w, D), with gradients, of frames (B, C, H, W) in [-1, 1]."""
        return self.quantizer(self.encoder(frames).movedim(1, -1))

    def pictures(self, vectors: Tensor) -> Tensor:
        """Decode vectors (B, h, w, D) to frames (B, C, H, W), about in [-1, 1]."""
        found: Tensor = self.decoder(vectors.movedim(-1, 1))
        return found

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Encode clips (B, T, C, H, W), uint8 or in [-1, 1], as codes (B, T, h, w).

        Raises:
            ValueError: The frames are not of this model's size.
        """
        size = (self.config.channels, self.config.image_size, self.config.image_size)
        if frames.ndim != 5 or tuple(frames.shape[2:]) != size:
            raise ValueError(f"Clips have shape {tuple(frames.shape)}; expected (B, T, {', '.join(map(str, size))}).")
        found = []
        for part in frames.flatten(0, 1).split(TOGETHER.get(frames.device.type, MOST)):
            codes = self.quantize(to_unit(part)).codes
            assert codes is not None
            found.append(codes)
        return torch.cat(found).view(*frames.shape[:2], *found[0].shape[1:])

    @in_own_modes
    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes (B, T, h, w) to clips, uint8 (B, T, C, H, W)."""
        frames = to_bytes(self.pictures(self.quantizer.lookup(codes.flatten(0, 1))))
        return frames.view(*codes.shape[:2], *frames.shape[1:])


class Discriminator(nn.Module):
    """Distinguishes true frames from reconstructed ones, patch by patch (PatchGAN); its sizes are not given in the
    paper.

    Args:
        channels: C.
        width: Channels of the first layer.
        layers: Number of layers that halve the size.
    """

    def __init__(self, channels: int, width: int, layers: int = 3) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, layers):
            before, after = width << (level - 1), width << level
            parts += [nn.Conv2d(before, after, 4, 2, 1), norm(after), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*parts, convolution(width << (layers - 1), 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Compute scores (B, 1, h, w) of frames (B, C, H, W), which are high for true frames."""
        scores: Tensor = self.net(frames)
        return scores


def hinge_losses(discriminator: nn.Module, true: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the losses of the generator and of the discriminator.

    The generator's loss has no gradient for the discriminator's weights, and the discriminator's none for the
    generator's, so both can be trained by the sum.

    Args:
        discriminator: Module from frames to scores.
        true: True frames.
        made: Their reconstructions.
    """
    still = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    generator = -torch.func.functional_call(discriminator, still, (made,)).mean()
    own = F.relu(1.0 - discriminator(true)).mean() + F.relu(1.0 + discriminator(made.detach())).mean()
    return generator, own


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, weight: Tensor, most: float = 1e4) -> Tensor:
    """Compute the weight of the adversarial loss (equation 3.3): the norm of the reconstruction loss's gradient divided
    by that of the adversarial loss's, at the last layer.

    Args:
        reconstruction, adversarial: The two losses.
        weight: Weight of the decoder's last layer.
        most: Largest weight, which is not given in the paper.
    """
    norms = [torch.autograd.grad(loss, weight, retain_graph=True)[0].norm() for loss in (reconstruction, adversarial)]
    return (norms[0] / (norms[1] + 1e-6)).clamp(max=most).detach()
