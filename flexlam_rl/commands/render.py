"""`flexlam render LEVEL -o out.png|out.mp4`: draw a level without a window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from flexlam_rl.commands.common import SPEED, LevelOptions, make_level
from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.envs.observations import FRAME, MAP, WORDS
from flexlam_rl.utils.pictures import Picture, beside, caption, contact_sheet, evenly, write_png
from flexlam_rl.utils.video import write_video

FRAME_SKIP = 4
SHEET_PICTURES = 16
AGAINST_A_WALL, TURN_AWAY = 120.0, 45.0  # speed (a walk has 320 units per second); look in pixels per frame
# native actions: look right, look down (pixels per frame), strafe right, move forward, fire, jump, crouch
STILL, FORWARD, SPIN = (0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 1, 0, 0, 0), (20, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Options(LevelOptions):
    """Draw a level: a contact sheet (.png) of frames spread over an episode, or a video of it (.mp4)."""

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """File to write; its ending, .png or .mp4, decides the format."""
    steps: int = 450
    """Number of agent steps, of four frames each (15 per second)."""
    policy: Literal["random", "wander", "forward", "spin", "still"] = "wander"
    """Policy that plays: a random action per step, a walk with random turns, one action held, or no action."""
    size: int = 192
    """Width and height of the view in pixels, a multiple of 4."""
    top_down: bool = False
    """Draw a map beside each view."""


def native_policy(name: str, seed: int) -> Callable[[float], np.ndarray]:
    """Make a function that chooses native actions, `(7,)` intc, only by its own speed (world units per second)."""
    rng = np.random.default_rng(seed)
    if name == "random":
        table = ACTION_SETS["dreamer15"].table
        return lambda speed: table[rng.integers(len(table))]
    if name == "wander":
        turn = 0.0

        def wander(speed: float) -> np.ndarray:
            nonlocal turn
            if speed < AGAINST_A_WALL:
                turn = np.copysign(TURN_AWAY, turn)
            else:
                turn = 0.9 * turn + rng.normal(0.0, 5.0)
            return np.array((round(turn), 0, 0, 1, 0, 0, 0), np.intc)

        return wander
    held = np.array({"forward": FORWARD, "spin": SPIN, "still": STILL}[name], np.intc)
    return lambda speed: held


def play(options: Options) -> Iterator[tuple[Picture, str]]:
    """Play an episode; yield a picture and its caption per step, and one before the first action."""
    names = (FRAME, WORDS, SPEED, MAP) if options.top_down else (FRAME, WORDS, SPEED)
    env = make_level(options, frame_skip=FRAME_SKIP, size=options.size, observations=names)
    act = native_policy(options.policy, options.seed)
    try:
        observation, _ = env.reset(seed=options.seed)
        total = 0.0
        for step in range(options.steps + 1):
            view = observation[FRAME]
            picture = beside([view, observation[MAP]]) if options.top_down else view
            yield picture, f"step {step}  return {total:g}\n{observation[WORDS]}"
            if step == options.steps:
                return
            observation, reward, terminated, truncated, _ = env.step(act(float(np.hypot(*observation[SPEED][:2]))))
            total += float(reward)
            if terminated or truncated:
                return
    finally:
        env.close()


def run(options: Options) -> int:
    """Write the picture or the video.

    Raises:
        ValueError: The file has another ending than .png and .mp4, or steps is below 1.
    """
    ending = options.out.suffix.lower()
    if ending not in (".png", ".mp4"):
        raise ValueError(
            f"Cannot tell what to write from {str(options.out)!r}: the file's name must end in .png or .mp4."
        )
    if options.steps < 1:
        raise ValueError(f"steps is {options.steps}; at least 1 is needed.")
    if ending == ".mp4":
        count = write_video(
            options.out, (captioned(picture, text) for picture, text in play(options)), fps=60 / FRAME_SKIP
        )
        print(f"{options.out}: {count} frames of {options.level}")
        return 0
    # the frames of the sheet are known only when the episode has ended, so that all are kept (a few MB at sheet size)
    frames = list(play(options))
    chosen = [captioned(*frames[i]) for i in evenly(SHEET_PICTURES, len(frames))]
    write_png(options.out, contact_sheet(chosen))
    print(f"{options.out}: {len(chosen)} of {len(frames)} frames of {options.level}")
    return 0


def captioned(picture: Picture, text: str) -> Picture:
    """Add a caption below a picture, with a second line if there is an instruction."""
    return caption(picture, text, lines=2 if text.partition("\n")[2] else 1)
