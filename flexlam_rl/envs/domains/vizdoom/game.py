"""Start of ViZDoom's engine for a task."""

import contextlib
import os
from pathlib import Path
from typing import Any

from flexlam_rl.envs.domains.vizdoom.actions import BUTTONS
from flexlam_rl.utils.startup import interrupts_held

SCREENS = ((160, 120), (200, 150), (256, 192), (320, 240), (400, 300), (512, 384), (640, 480))
"""Screen sizes (width, height) that the engine is asked to draw, all 4:3."""
_LITTER = Path("_vizdoom")  # an empty folder that the engine creates in the working directory


def screen_for(width: int, height: int) -> tuple[int, int]:
    """Find the smallest screen that is at least as large as a frame.

    Raises:
        ValueError: The frame is larger than the largest screen.
    """
    for screen in SCREENS:
        if screen[0] >= width and screen[1] >= height:
            return screen
    largest = SCREENS[-1]
    raise ValueError(
        f"Frames of {width}x{height} are too large: expected at most {largest[0]}x{largest[1]} for ViZDoom."
    )


def open_game(task: str, screen: tuple[int, int], hud: bool, labels: bool = False) -> Any:
    """Start the engine, which runs as a separate process, with a task's scenario.

    Args:
        task: Name of the scenario.
        screen: One of `SCREENS`.
        hud: Whether to draw the status bar.
        labels: Whether to list the objects in view.

    Returns:
        A `vizdoom.DoomGame` without a time limit.
    """
    import vizdoom

    game = vizdoom.DoomGame()
    game.load_config(str(Path(vizdoom.scenarios_path) / f"{task}.cfg"))
    # otherwise the engine would use a commercial WAD if there is one, and frames would differ between machines
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom2.wad"))
    game.set_window_visible(False)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, f"RES_{screen[0]}X{screen[1]}"))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_render_hud(hud)
    game.set_available_buttons([getattr(vizdoom.Button, name) for name in BUTTONS])
    game.set_available_game_variables([])
    game.set_episode_timeout(0)
    game.set_labels_buffer_enabled(labels)
    # the weapon's swing continues from one episode to the next; without it, frames depend on the seed only
    game.add_game_args("+movebob 0")
    clean = not _LITTER.exists()
    game.set_doom_config_path(os.devnull)  # by default, the engine writes a file into the working directory
    with interrupts_held():  # only this process handles Ctrl-C
        game.init()
    if clean:
        with contextlib.suppress(OSError):
            _LITTER.rmdir()
    return game
