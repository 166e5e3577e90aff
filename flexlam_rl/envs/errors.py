"""Errors of the environments. Most are both Gymnasium's class and the built-in one that callers expect."""

import gymnasium.error


class InvalidAction(gymnasium.error.InvalidAction, ValueError):
    """An action outside the action space."""


class ResetNeeded(gymnasium.error.ResetNeeded, RuntimeError):
    """A step before the first reset, or after the end of an episode."""


class ClosedError(gymnasium.error.ClosedEnvironmentError, RuntimeError):
    """A call on an environment that was closed."""


class ConfigRefused(ValueError, RuntimeError):
    """A key or value of `config` that the engine refuses."""


class EngineMissing(gymnasium.error.DependencyNotInstalled, ImportError):
    """The real `deepmind_lab` module was asked for and cannot be imported."""
