"""Errors of training."""


class TrainingError(RuntimeError):
    """Training cannot continue; the message says where it stopped and what is saved."""
