"""`--init RUN`: start a run from the weights of another one."""

import hashlib
from pathlib import Path
from typing import Any

from flexlam_rl.nn.pretrained import load_weights, model_digest
from flexlam_rl.train.definition import StageDefinition
from flexlam_rl.train.errors import TrainingError
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.trainer import Stage


def initial_folders(definition: StageDefinition[Any], options: StageOptions) -> dict[str, Path]:
    """Find the folder of the initial weights of each model that the stage trains.

    Args:
        definition: The stage.
        options: Options of the stage; `init` is the folder of a run, of the stage in a run, or of a bundle.

    Raises:
        TrainingError: The folder has no such weights.
    """
    root, stage = Path(str(options.init)), definition.place(options).name
    found = {}
    for model in definition.outputs:
        places = (root / stage / "best" / model, root / "best" / model, root / model)
        folder = next((place for place in places if (place / "model.safetensors").is_file()), None)
        if folder is None:
            raise TrainingError(f"init is {root}; expected a run with weights of the model {model!r} in {places[0]}.")
        found[model] = folder
    return found


def initial_digest(definition: StageDefinition[Any], options: StageOptions) -> str:
    """Compute the digest of the initial weights.

    Raises:
        TrainingError: The folder has no such weights.
    """
    folders = initial_folders(definition, options).values()
    return hashlib.sha256(" ".join(map(model_digest, folders)).encode()).hexdigest()


def set_initial_weights(stage: Stage, definition: StageDefinition[Any], options: StageOptions) -> None:
    """Load the weights of `--init` into the models that a stage trains.

    Raises:
        TrainingError: The folder has no such weights.
        CheckpointError: Weights have another shape; the sentence names the tensor and both shapes.
    """
    models = stage.saved()
    for name, folder in initial_folders(definition, options).items():
        load_weights(models[name], folder)
