"""ViZDoom's engine, opened for one task."""

import contextlib
import os
from pathlib import Path
from typing import Any

from flexlam_rl.envs.domains.vizdoom.actions import BUTTONS
from flexlam_rl.utils.startup import interrupts_held

SCREENS = ((160, 120), (200, 150), (256, 192), (320, 240), (400, 300), (512, 384), (640, 480))
"""Sizes in which the engine draws, width and height, all 4:3."""
_LITTER = Path("_vizdoom")  # an empty folder that the engine makes where it is started


def screen_for(width: int, height: int) -> tuple[int, int]:
    """The smallest screen that a frame of this size can be made from without making it larger.

    Raises:
        ValueError: It is larger than the largest screen.
    """
    for screen in SCREENS:
        if screen[0] >= width and screen[1] >= height:
            return screen
    largest = SCREENS[-1]
    raise ValueError(f"Frames of {width}x{height} are larger than ViZDoom's largest, {largest[0]}x{largest[1]}.")


def open_game(task: str, screen: tuple[int, int], hud: bool, labels: bool = False) -> Any:
    """Start the engine, a process of its own, with a task's scenario.

    Args:
        task: Name of the scenario.
        screen: One of `SCREENS`.
        hud: Whether the status bar is drawn.
        labels: Whether it lists what is in view.

    Returns:
        A `vizdoom.DoomGame` without a limit of time.
    """
    import vizdoom

    game = vizdoom.DoomGame()
    game.load_config(str(Path(vizdoom.scenarios_path) / f"{task}.cfg"))
    # with a commercial WAD beside it the engine would choose that one, and look different from one machine to the next
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
    # the engine keeps the swing of the weapon from one episode to the next; without it frames depend on the seed alone
    game.add_game_args("+movebob 0")
    clean = not _LITTER.exists()
    game.set_doom_config_path(os.devnull)  # else a file in the folder where this process was started
    with interrupts_held():  # Ctrl-C is this process's affair
        game.init()
    if clean:
        with contextlib.suppress(OSError):
            _LITTER.rmdir()
    return game
