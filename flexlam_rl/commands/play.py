"""`flexlam play LEVEL`: play a level in a window with the keyboard."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexlam_rl.commands.common import LevelOptions, make_level
from flexlam_rl.envs.observations import FRAME, WORDS

FPS = 60
LOOK = 30  # pixels per frame while a look key is held: 190 degrees per second
KEYS = "W A S D move, arrows look, Space jump, C crouch, F fire, R new episode, Esc leave"


@dataclass(frozen=True, kw_only=True)
class Options(LevelOptions):
    """Play a level: W A S D move, arrows look, Space jump, C crouch, F fire, R new episode, Esc leave."""

    size: int = 480
    """Width and height of the window in pixels, a multiple of 4."""
    frames: int = 0
    """Stop after this many frames; 0 plays until the window is closed."""


def native_action(held: Any, pygame: Any) -> np.ndarray:
    """Return the native action `(7,)` intc for the keys that are held down."""

    def axis(plus: int, minus: int, size: int = 1) -> int:
        return size * (int(bool(held[plus])) - int(bool(held[minus])))

    return np.array(
        (
            axis(pygame.K_RIGHT, pygame.K_LEFT, LOOK),
            axis(pygame.K_DOWN, pygame.K_UP, LOOK),
            axis(pygame.K_d, pygame.K_a),
            axis(pygame.K_w, pygame.K_s),
            int(bool(held[pygame.K_f])),
            int(bool(held[pygame.K_SPACE])),
            int(bool(held[pygame.K_c])),
        ),
        np.intc,
    )


def run(options: Options) -> int:
    """Open the window and play until it is closed.

    Raises:
        ImportError: pygame is not installed.
        RuntimeError: There is no display.
    """
    try:
        import pygame
    except ImportError:
        raise ImportError(
            "`flexlam play` needs pygame, which is not installed: pip install 'flexlam_rl[play]'."
        ) from None
    env = make_level(options, frame_skip=1, size=options.size, observations=(FRAME, WORDS))
    try:
        pygame.display.init()
        screen = pygame.display.set_mode((options.size, options.size))
    except pygame.error as error:
        env.close()
        raise RuntimeError(
            f"Cannot open a window ({error}); `flexlam render {options.level} -o out.mp4` needs none."
        ) from None
    print(KEYS)
    try:
        _loop(env, screen, pygame, options)
    finally:
        pygame.display.quit()
        env.close()
    return 0


def _loop(env: Any, screen: Any, pygame: Any, options: Options) -> None:
    observation, _ = env.reset(seed=options.seed)
    total, shown, due = 0.0, 0, time.monotonic()
    while True:
        screen.blit(pygame.surfarray.make_surface(observation[FRAME].swapaxes(0, 1)), (0, 0))
        pygame.display.flip()
        pygame.display.set_caption(f"{options.level}  return {total:g}  {observation[WORDS]}".strip())
        shown += 1
        restart = False
        for event in pygame.event.get():
            if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                return
            restart |= event.type == pygame.KEYDOWN and event.key == pygame.K_r
        if options.frames and shown >= options.frames:
            return
        if not restart:
            observation, reward, terminated, truncated, _ = env.step(native_action(pygame.key.get_pressed(), pygame))
            total += float(reward)
            restart = terminated or truncated
            if restart:
                print(f"Episode over: return {total:g}.")
        if restart:
            observation, _ = env.reset()
            total = 0.0
        due = max(due + 1 / FPS, time.monotonic() - 1 / FPS)
        time.sleep(max(0.0, due - time.monotonic()))
