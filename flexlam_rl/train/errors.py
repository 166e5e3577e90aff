"""What training raises."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped and what is left."""
