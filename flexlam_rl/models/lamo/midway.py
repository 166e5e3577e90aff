"""Midway: motion between two frames in levels, each of which encodes what the level above has not explained.

With the lowest level first and the top one last (LaMo, equation 1),

    m[l] = m[l + 1] + inverse(predicted[l + 1], after[l])        predicted[l] = forward(now[l], m[l])

where the current frame's top level takes the place of a prediction, and there is no motion above the highest level.
Targets are features of a moving average of the encoder's weights. This average is also the encoder after training, so
what is predicted is what is seen.

Shapes: B transitions, C H W frame, L levels, N patches, D width, S motion tokens, m numbers per motion token.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.lamo import distillation
from flexlam_rl.models.lamo.collapse import collapse_figures, distances
from flexlam_rl.models.lamo.config import MidwayConfig
from flexlam_rl.models.lamo.dynamics import ForwardModel, InverseModel
from flexlam_rl.models.lamo.encoder import LevelEncoder
from flexlam_rl.nn.frames import check_frames, to_unit
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.pretrained import PretrainedModel


class Transition(NamedTuple):
    """Motion (B, L, S, m), and the next state predicted from it, (B, L, N, D)."""

    motion: Tensor
    predicted: Tensor


class _Eyes(nn.Module):
    """The modules whose weights are averaged: encoder, and prototypes of whole pictures."""

    def __init__(self, config: MidwayConfig) -> None:
        super().__init__()
        self.encoder = LevelEncoder(config)
        self.head = distillation.PrototypeHead(config.width, config.hidden, config.prototypes)

    def scores(self, pictures: Tensor) -> Tensor:
        """Scores of each prototype, (B, V), from the top level, averaged over patches."""
        return self.head(self.encoder(pictures)[:, -1].mean(1))


class Midway(PretrainedModel):
    """Encoder, its moving average, and the inverse and forward models of each level."""

    config_class = MidwayConfig

    def __init__(self, config: MidwayConfig) -> None:
        super().__init__()
        self.config = config
        self.student = _Eyes(config)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.center = distillation.Center(config.prototypes)
        self.inverse = nn.ModuleList(InverseModel(config) for _ in range(config.levels))
        self.forward_models = nn.ModuleList(ForwardModel(config) for _ in range(config.levels))
        if not config.dino_weight:
            self.student.head.requires_grad_(False)

    def transition(self, now: Tensor, after: Tensor) -> Transition:
        """Infer motion from the top level down.

        Args:
            now, after: States including their top level, (B, L + 1, N, D).
        """
        above, motion = now[:, -1], None
        motions, predicted = [], []
        for level in reversed(range(self.config.levels)):
            residual = self.inverse[level](above, after[:, level]).float()
            motion = residual if motion is None else motion + residual
            above = self.forward_models[level](now[:, level], motion)
            motions.append(motion)
            predicted.append(above)
        return Transition(*(torch.stack(parts[::-1], 1) for parts in (motions, predicted)))

    def advance(self, state: Tensor, motion: Tensor) -> Tensor:
        """Compute the next state (B, L, N, D) from a state (B, L, N, D) and motion (B, L, S, m)."""
        levels = [model(state[:, i], motion[:, i]) for i, model in enumerate(self.forward_models)]
        return torch.stack(levels, 1)

    @torch.no_grad()
    def update_teacher(self) -> None:
        """Move the averaged weights one step toward the encoder's."""
        pairs = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
        for average, weight in pairs:
            average.lerp_(weight.detach(), 1 - self.config.momentum)

    def loss(self, obs: Tensor, next_obs: Tensor, generator: torch.Generator) -> StepOutput:
        """Compute the training loss of transitions between frames (B, C, H, W) and (B, C, H, W).

        In training mode, the average is first updated with the weights of the last step, so that a run that is saved
        between steps has both in the same state.
        """
        if self.training:
            self.update_teacher()
        now, after = self.student.encoder(torch.cat([obs, next_obs])).chunk(2)
        with torch.no_grad():
            wanted = self.teacher.encoder(next_obs)[:, :-1]
        dense = distances(self.transition(now, after).predicted, wanted).mean()
        figures = {"dense": dense.detach()}
        if not self.config.dino_weight:
            return StepOutput(dense, figures)
        one, other = (distillation.random_view(to_unit(obs), generator) for _ in range(2))
        with torch.no_grad():
            scores = self.teacher.scores(torch.cat([other, one]))
            probabilities = distillation.targets(scores, self.center.mean)
        apart = distillation.cross_entropy(self.student.scores(torch.cat([one, other])), probabilities)
        if self.training:
            self.center.update(scores)
        return StepOutput(dense + self.config.dino_weight * apart, figures | {"dino": apart.detach()})

    @torch.no_grad()
    def states(self, frames: Tensor) -> Tensor:
        """Encode frames (B, C, H, W) as states including their top level, (B, L + 1, N, D), with the averaged encoder,
        in the caller's precision.
        """
        return self.teacher.encoder(frames)

    @in_own_modes
    def encode(self, frames: Tensor) -> Tensor:
        """Encode frames as `states` does, after checking them.

        Raises:
            ValueError: The frames have another size or type.
        """
        check_frames(frames, self.config.channels, frame_size(self.config))
        return self.states(frames)

    @in_own_modes
    def diagnose(self, obs: Tensor, next_obs: Tensor) -> dict[str, float]:
        """Compute `collapse.collapse_figures` for transitions between frames (B, C, H, W) and (B, C, H, W)."""
        now, after = self.encode(obs), self.encode(next_obs)
        found = self.transition(now, after)
        other = self.advance(now[:, :-1], found.motion.roll(1, 0))
        return collapse_figures(now[:, :-1], after[:, :-1], found.predicted, other, found.motion)
