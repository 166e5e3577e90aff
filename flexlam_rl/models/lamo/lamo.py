"""LaMo: predicts the next motion from past motion and the current state, which the frozen Midway then advances (LaMo,
section 4).

In a rollout, the state has all levels that Midway predicts. The top level, with which the inference of motion between
observed frames begins and which is never predicted, is not needed, because motion is sampled. The baseline predicts the
next state instead, with the same transformer, history and heads.

Shapes: B rows, T frames, C H W frame, K history, L levels, N patches, D width of a state, S motion tokens, m numbers
per motion token, P tokens to predict, d numbers of each.
"""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.models.interfaces import Conditions, LookBack, StepOutput
from flexlam_rl.models.lamo.config import LaMoConfig
from flexlam_rl.models.lamo.context import ContextTransformer
from flexlam_rl.models.lamo.encoder import normed
from flexlam_rl.models.lamo.midway import Midway
from flexlam_rl.models.lamo.pixel_decoder import PixelDecoder
from flexlam_rl.nn.density_heads import build_head
from flexlam_rl.nn.frames import check_frames
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.scale import Scale
from flexlam_rl.nn.streams import Streams, normal, uniform_rows
from flexlam_rl.utils.numbers import whole


class LaMo(PretrainedModel):
    """Context transformer and head. Midway and the pixel decoder are part of the checkpoint, and frozen."""

    config_class = LaMoConfig

    def __init__(self, config: LaMoConfig) -> None:
        super().__init__()
        self.config = config
        own = config.midway
        self.pixels = PixelDecoder(config.decoder).requires_grad_(False).eval()
        self.states_scale = Scale(own.levels, 1, own.width)
        self.motion_scale = Scale(own.levels, 1, own.motion_dim)
        of_motion = config.predict == "motion"
        self.outputs, dim = (own.tokens, own.motion_dim) if of_motion else (own.patches, own.width)
        self.context = ContextTransformer(config, self.outputs)
        self.head = build_head(
            config.head, config.width, dim, config.head_width, config.head_blocks, config.components, config.entropy
        )

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the parts that train; the frozen models stay in evaluation mode."""
        super().train(mode)
        self.pixels.eval()
        return self

    @property
    def midway(self) -> Midway:
        """The frozen Midway."""
        return self.pixels.midway

    @torch.no_grad()
    def observed(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Compute states (B, T, L, N, D) and motion (B, T - 1, L, S, m) of frames (B, T, C, H, W), not normalized."""
        rows, length = frames.shape[:2]
        midway = self.pixels.midway
        states = midway.states(frames.flatten(0, 1)).unflatten(0, (rows, length))
        motion = midway.transition(states[:, :-1].flatten(0, 1), states[:, 1:].flatten(0, 1)).motion
        return states[:, :, :-1], motion.unflatten(0, (rows, length - 1))

    def fit_scale(self, frames: Tensor) -> None:
        """Set the scales of states and motion from frames (B, T, C, H, W)."""
        states, motion = self.observed(frames)
        self.states_scale.fit(states.flatten(0, 1))
        self.motion_scale.fit(motion.flatten(0, 1))

    def features(
        self, states: Tensor, motion: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute features (B, P, D) of the tokens to predict, and their summary.

        Args:
            states: The latest states, (B, K + 1, L, N, D); only the baseline sees more than the newest.
            motion: Motion of the last K transitions, (B, K, L, S, m).
            generator: Random stream of the noise on the context. Its size is drawn per row, uniform up to `noise`, and
                the model is not told it. None for no noise.
        """
        of_motion = self.config.predict == "motion"
        states = self.states_scale.enter(states[:, -1:] if of_motion else states)
        past = self.motion_scale.enter(motion) if of_motion else None
        if generator is not None and self.config.noise:
            size = torch.rand(len(states), generator=generator, device=generator.device, dtype=torch.float32)
            size = self.config.noise * size[:, None, None, None, None]
            states = states + size * normal(states.shape, generator, states.device)
            past = None if past is None else past + size * normal(past.shape, generator, past.device)
        return self.context(states, past)

    def loss(self, frames: Tensor, generator: torch.Generator) -> StepOutput:
        """Compute the loss of clips (B, K + 2, C, H, W): the step to the last frame is predicted from the other
        frames.
        """
        states, motion = self.observed(frames)
        features, summary = self.features(states[:, :-1], motion[:, :-1], generator)
        losses = self.head.losses(features, summary, self._target(states, motion), generator)
        return StepOutput(losses.mean(), {})

    @torch.no_grad()
    def clean_losses(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the loss of each clip (B, K + 2, C, H, W) without noise on the context, (B,)."""
        states, motion = self.observed(frames)
        features, summary = self.features(states[:, :-1], motion[:, :-1])
        return self.head.losses(features, summary, self._target(states, motion), generator)

    def _target(self, states: Tensor, motion: Tensor) -> Tensor:
        if self.config.predict == "motion":
            return self.motion_scale.enter(motion[:, -1]).flatten(1, 2)
        return self.states_scale.enter(states[:, -1]).flatten(1, 2)

    @in_own_modes
    def rollout_states(
        self,
        context: Tensor,
        latents: Tensor | None = None,
        generator: Streams | None = None,
        horizon: int = 8,
        steps: int | None = None,
    ) -> Tensor:
        """Predict states (B, horizon, L, N, D); arguments are those of `rollout`."""
        config, own = self.config, self.config.midway
        length = context.shape[1] if context.ndim == 5 else 0
        if length < config.history + 1:
            raise ValueError(
                f"context has shape {tuple(context.shape)}; expected (B, T, {own.channels}, "
                f"{frame_size(own)[0]}, {frame_size(own)[1]}) with at least {config.history + 1} frames."
            )
        context = context[:, -config.history - 1 :]
        check_frames(context.flatten(0, 1), own.channels, frame_size(own))
        steps = config.steps if steps is None else whole(steps, "steps", 1)
        if latents is not None:
            shape = (len(context), latents.shape[1], own.levels, own.tokens, own.motion_dim)
            if latents.shape != shape or not latents.is_floating_point():
                raise ValueError(
                    f"latents have type {latents.dtype} and shape {tuple(latents.shape)}; expected motion of shape "
                    f"(B, horizon, {own.levels}, {own.tokens}, {own.motion_dim})."
                )
        horizon = whole(horizon, "horizon", 1) if latents is None else latents.shape[1]
        states, motion = self.observed(context)
        found = []
        for step in range(horizon):
            given = None if latents is None else latents[:, step]
            state, ahead = self._ahead(states, motion, given, generator, steps)
            found.append(state)
            states = torch.cat([states[:, 1:], state[:, None]], 1)
            motion = torch.cat([motion[:, 1:], ahead[:, None]], 1)
        return torch.stack(found, 1)

    def _ahead(
        self, states: Tensor, motion: Tensor, given: Tensor | None, generator: Streams | None, steps: int
    ) -> tuple[Tensor, Tensor]:
        """The next state (B, L, N, D) and the motion (B, L, S, m) that leads to it, sampled unless given."""
        if given is None and self.config.predict == "state":
            state = normed(self.states_scale.leave(self._sampled(states, motion, generator, steps)))
            return state, motion[:, -1]  # the baseline does not use motion
        if given is None:
            given = self.motion_scale.leave(self._sampled(states, motion, generator, steps))
        return self.pixels.midway.advance(states[:, -1], given), given

    def _sampled(self, states: Tensor, motion: Tensor, generator: Streams | None, steps: int) -> Tensor:
        """Draw a prediction (B, L, P, d) at the head's scale; without a generator, the most typical one."""
        features, summary = self.features(states, motion)
        rows, device = len(features), features.device
        shape = (rows, features.shape[1], self.head.dim)
        noise, choice = torch.zeros(shape, device=device), None
        if isinstance(generator, torch.Generator):
            noise = normal(shape, generator, device)
            choice = torch.rand(rows, generator=generator, device=generator.device, dtype=torch.float32).to(device)
        elif generator is not None:
            noise, choice = normal(shape, generator, device), uniform_rows(generator, rows, device)
        drawn = self.head.sample(features, summary, noise, choice, steps)
        return drawn.float().unflatten(1, (self.config.midway.levels, self.outputs))

    def rollout(
        self,
        context: Tensor,
        latents: Tensor | None = None,
        generator: Streams | None = None,
        horizon: int = 8,
        steps: int | None = None,
    ) -> Tensor:
        """Predict frames, uint8 (B, horizon, C, H, W).

        Args:
            context: Past frames, (B, T, C, H, W), of which the last K + 1 are used.
            latents: Motion of each step ahead, (B, horizon, L, S, m), instead of sampled motion.
            generator: Random stream, or one per row; None takes the most typical motion.
            horizon: Steps ahead, if no latents are given.
            steps: Steps of the flow head; None for the model's own number.

        Raises:
            ValueError: Frames, latents, horizon or steps do not fit this model.
        """
        states = self.rollout_states(context, latents, generator, horizon, steps)
        frames = self.pixels.decode(states.flatten(0, 1))
        return frames.unflatten(0, states.shape[:2])

    @property
    def conditions(self) -> Conditions:
        """Nothing, because motion is sampled."""
        return Conditions("nothing")

    @property
    def look_back(self) -> LookBack:
        """K + 1 frames, with K motions between them."""
        return LookBack(self.config.history + 1, self.config.history + 1)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        own = self.config.midway
        return (own.channels, *frame_size(own))

    @in_own_modes
    def remember(self, frames: Tensor) -> Tensor:
        """Make items (B, T, L N D + L S m): states of frames and the motion to them, which is unknown for the first."""
        own = self.config.midway
        check_frames(frames.flatten(0, 1), own.channels, frame_size(own))
        states, motion = self.observed(frames)
        return torch.cat([states.flatten(2), F.pad(motion.flatten(2), (0, 0, 1, 0))], -1)

    @in_own_modes
    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames; see `SteppedWorldModel`."""
        own = self.config.midway
        size = own.levels * own.patches * own.width
        states = items[..., :size].unflatten(-1, (own.levels, own.patches, own.width))
        motion = items[:, 1:, size:].unflatten(-1, (own.levels, own.tokens, own.motion_dim))
        state, ahead = self._ahead(states, motion, None, generator, self.config.steps)
        return torch.cat([state.flatten(1), ahead.flatten(1)], -1), self.pixels.decode(state)
