"""The window of render_mode="human"; it needs pygame from the extra `play`."""

from typing import Any

import gymnasium.error
import numpy as np


class Window:
    """Shows pictures at a given frame rate.

    Args:
        title: Title of the window.
        fps: Upper limit of pictures per second.

    Raises:
        gymnasium.error.DependencyNotInstalled: pygame is missing.
    """

    def __init__(self, title: str, fps: int) -> None:
        try:
            import pygame
        except ImportError:
            raise gymnasium.error.DependencyNotInstalled(
                "render_mode='human' needs pygame: pip install 'flexlam_rl[play]', or use render_mode='rgb_array'."
            ) from None
        self._pygame: Any = pygame
        pygame.display.init()
        self._title = title
        self._fps = fps
        self._clock = pygame.time.Clock()
        self._screen: Any = None

    def show(self, picture: np.ndarray) -> None:
        """Show a (height, width, 3) uint8 picture and wait as long as the frame rate asks for."""
        pygame = self._pygame
        size = (picture.shape[1], picture.shape[0])
        if not pygame.display.get_init():
            pygame.display.init()
        if (
            self._screen is None or pygame.display.get_surface() is not self._screen
        ):  # another window may have taken or closed it
            self._screen = pygame.display.set_mode(size)
            pygame.display.set_caption(self._title)
        self._screen.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Close the window."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None
