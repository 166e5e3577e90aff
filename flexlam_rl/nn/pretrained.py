"""Models on disk: config.json and model.safetensors in one folder or hub repository; strict, atomic, never pickle."""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

import numpy as np
import torch
from huggingface_hub import ModelHubMixin, hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from flexlam_rl.nn.modes import built_plainly, in_own_modes
from flexlam_rl.nn.param_groups import HiddenLayer, ParamGroup, param_groups
from flexlam_rl.nn.places import CheckpointError, local_folder, not_on_hub, usable_device
from flexlam_rl.utils.files import write_atomically

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"


def digest(files: Iterable[Path]) -> str:
    """SHA-256 of the contents of files, in their order."""
    hasher = hashlib.sha256()
    for path in files:
        hasher.update(path.read_bytes() + b"|")
    return hasher.hexdigest()


def model_digest(folder: Path) -> str:
    """SHA-256 of a model's configuration and weights."""
    return digest((folder / CONFIG, folder / WEIGHTS))


def model_folder(run: Path, name: str) -> Path | None:
    """Find the folder of a model in a run: as training writes it, as a published checkpoint has it, or the run itself.

    Args:
        run: `--out` of a training, a folder with one subfolder per model, or the folder of a single model.
        name: Name of the model, as "lam", "sequence", "translator" or "idm".

    Returns:
        The folder; None if there is none.
    """
    for folder in (run / name / "best" / name, run / name, run):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    return None


def to_json(value: Any) -> Any:
    """Convert a value to JSON that `from_json` can read; later fields with default values are left out, so that older
    and newer files are equal.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [
            f for f in dataclasses.fields(value) if "later" not in f.metadata or getattr(value, f.name) != _default(f)
        ]
        return {f.name: to_json(getattr(value, f.name)) for f in fields}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return {name: to_json(item) for name, item in value.items()} if isinstance(value, dict) else value


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def from_json(kind: Any, value: Any, where: str) -> Any:
    """Build a (nested) dataclass, tuple or plain value of type `kind` from JSON; unknown or missing keys are errors.

    A field with "later" in its metadata was added after files without it had been written, so it may be missing.
    """
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise CheckpointError(f"{where} is {value!r}; expected an object with the fields of {kind.__name__}.")  # type: ignore[union-attr]
        hints = typing.get_type_hints(kind)
        names = {f.name for f in dataclasses.fields(kind)}
        needed = {f.name for f in dataclasses.fields(kind) if "later" not in f.metadata}
        if not needed <= set(value) <= names:
            odd, missing = sorted(set(value) - names), sorted(needed - set(value))
            raise CheckpointError(f"{where} has unknown fields {odd} and lacks {missing}.")
        given = {name: from_json(hints[name], value[name], f"{where}.{name}") for name in value}
        try:
            return kind(**given)  # type: ignore[operator]
        except ValueError as error:
            raise CheckpointError(f"{where}: {error}") from None
    origin, args = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, list):
        return tuple(from_json(args[0], v, where) for v in value)
    if origin is Literal:
        if value not in args:
            raise CheckpointError(f"{where} is {value!r}; expected one of {list(args)}.")
        return value
    if origin in (Union, types.UnionType):
        return value
    kind = origin or kind
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CheckpointError(f"{where} is {value!r}; expected {getattr(kind, '__name__', kind)}.")
    return value


class PretrainedModel(nn.Module, ModelHubMixin):
    """A model that is saved, loaded and pushed to a hub as a configuration and safetensors."""

    config_class: ClassVar[type]
    config: Any
    compiled_parts: ClassVar[tuple[str, ...]] = ()
    """Names of the modules that do nearly all of the arithmetic; torch.compile can compile each as one graph."""
    decayed_embeddings: ClassVar[tuple[str, ...]] = ()
    """Names of embeddings whose weights decay; other embeddings do not."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = built_plainly(vars(cls)["__init__"])  # type: ignore[method-assign]

    def param_groups(self) -> list[ParamGroup]:
        """Sort the parameters that require gradients into groups that an optimizer treats alike; see
        `flexlam_rl.nn.param_groups`.
        """
        return param_groups(self, self.decayed_embeddings)

    def compile_parts(self) -> None:
        """Compile `compiled_parts` in place; names and weights do not change.

        In a stack of equal layers, each layer is compiled by itself, and all share the code; compiling whole stacks
        takes minutes.
        """
        for name in self.compiled_parts:
            part = getattr(self, name)
            # torch does not compile layers without a forward of their own, such as those made as `nn.Sequential`
            kinds = (m for m in part.modules() if isinstance(m, HiddenLayer))
            layers = [layer for layer in kinds if not isinstance(layer, nn.Sequential)]
            for module in layers or [part]:
                module.compile(fullgraph=True)

    def _save_pretrained(self, save_directory: Path) -> None:
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        record = {"format": FORMAT, "class": type(self).__name__, "config": to_json(self.config)}
        write_atomically(Path(save_directory) / WEIGHTS, save(state, metadata={"class": type(self).__name__}))
        write_atomically(Path(save_directory) / CONFIG, (json.dumps(record, indent=2) + "\n").encode())

    @classmethod
    @in_own_modes
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        device: str | torch.device = "cpu",
        revision: str | None = None,
    ) -> Self:
        """Load a model from a folder or a hub repository.

        Args:
            pretrained_model_name_or_path: Folder with config.json and model.safetensors, or a hub id "owner/name".
            device: Device of the weights.
            revision: Hub revision.

        Raises:
            CheckpointError: Files are missing, damaged, of another class, of a newer format, or do not match the
                configuration.
            ValueError: There is no such device.
        """
        target = usable_device(device)
        name = pretrained_model_name_or_path
        config_path, weights_path = _locate(name, revision)
        config = cls._read_config(name, config_path)
        # not on "meta", for which torch imports its compiler; the caller's random stream is unchanged
        with torch.random.fork_rng(devices=[]):
            model = cls(config)
        _fill(model, _read_weights(weights_path), weights_path)
        return model.to(target)

    @classmethod
    def saved_config(cls, name: str | Path, revision: str | None = None) -> Any:
        """Read the configuration of a checkpoint of this class, without its weights.

        Raises:
            CheckpointError: Files are missing or damaged, or the model is of another class or a newer format.
        """
        return cls._read_config(name, _locate(name, revision)[0])

    @classmethod
    def _read_config(cls, name: str | Path, path: Path) -> Any:
        record = _read_record(path)
        if record.get("class") != cls.__name__:
            raise CheckpointError(f"{name} holds a {record.get('class')!r}; expected a {cls.__name__!r}.")
        return from_json(cls.config_class, record.get("config"), f"{path}: config")


def saved_class(name: str | Path, revision: str | None = None) -> str:
    """Read the name of a checkpoint's class.

    Raises:
        CheckpointError: Files are missing or damaged, or of a newer format.
    """
    return str(_read_record(_locate(name, revision)[0]).get("class"))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no readable JSON: {error}.") from None
    if not isinstance(record, dict) or "format" not in record:
        raise CheckpointError(f"{path} is not a flexlam_rl configuration: it has no field 'format'.")
    if not isinstance(record["format"], int) or record["format"] > FORMAT:
        raise CheckpointError(
            f"{path} has format {record['format']!r}; this version reads up to {FORMAT}: update flexlam_rl."
        )
    return record


def load_weights(model: nn.Module, folder: Path) -> None:
    """Load the weights of a checkpoint into a model, in place.

    Args:
        model: Any model whose tensors have the same names and shapes.
        folder: Folder of the checkpoint.

    Raises:
        CheckpointError: The file is damaged or does not match the model; the sentence names a tensor and both shapes.
    """
    _fill(model, _read_weights(folder / WEIGHTS), folder / WEIGHTS)


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged or truncated: {error}.") from None


def _locate(name: str | Path, revision: str | None) -> tuple[Path, Path]:
    folder = local_folder(name)
    if folder is not None:
        for file in (CONFIG, WEIGHTS):
            if not (folder / file).is_file():
                raise CheckpointError(f"{folder} holds no {file}; a checkpoint has {CONFIG} and {WEIGHTS}.")
        return folder / CONFIG, folder / WEIGHTS
    repository = str(name)
    try:
        return Path(hf_hub_download(repository, CONFIG, revision=revision)), Path(
            hf_hub_download(repository, WEIGHTS, revision=revision)
        )
    except Exception as error:  # the hub client may raise anything (network, missing repository)
        raise not_on_hub(repository, error) from None


def _fill(model: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    own = model.state_dict()
    odd, missing = sorted(set(state) - set(own)), sorted(set(own) - set(state))
    if odd or missing:
        raise CheckpointError(f"{path} has unknown tensors {odd[:3]} and lacks {missing[:3]}.")
    for key, tensor in own.items():
        found = state[key]
        if found.shape != tensor.shape:
            raise CheckpointError(
                f"{path}: tensor {key!r} has shape {tuple(found.shape)}; expected {tuple(tensor.shape)}."
            )
        if found.dtype != tensor.dtype and found.dtype not in (torch.float16, torch.bfloat16):
            raise CheckpointError(f"{path}: tensor {key!r} has type {found.dtype}; expected {tensor.dtype}.")
        if not bool(found.isfinite().all()):
            count = int((~found.isfinite()).sum())
            raise CheckpointError(
                f"{path}: tensor {key!r} has {count} of {found.numel()} numbers that are NaN or infinite."
            )
    # copies, because tensors from the file may be mapped to its memory
    model.load_state_dict({key: state[key].to(tensor.dtype, copy=True) for key, tensor in own.items()}, assign=True)
