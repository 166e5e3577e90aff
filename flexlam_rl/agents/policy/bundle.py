"""A bundle: everything that a policy needs, in one folder or hub repository.

config.json                    the environment and data that it was trained on (`BundleConfig`)
lam/ sequence/ translator/     one model each: config.json and model.safetensors; the policy `oracle` needs no sequence/
budget/                        optional: the head that chooses budgets
README.md                      the model card
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download

from flexlam_rl.agents.policy.past_blocks import check_history
from flexlam_rl.checkpoints import VARIABLE, default
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.models.flexlam.adaptive.head import BudgetHead
from flexlam_rl.models.flexlam.priors import Prior, load_prior, sees_all, state_widths
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.systems import load_slot_model
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.places import local_folder, not_on_hub, usable_device
from flexlam_rl.nn.pretrained import CONFIG, WEIGHTS, CheckpointError, PretrainedModel, digest, from_json, to_json
from flexlam_rl.utils.budget_words import history_in_words
from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain

FORMAT, KIND = 1, "flexlam_rl.bundle"


MODELS: dict[str, Callable[..., PretrainedModel]] = {
    "lam": load_slot_model,
    "sequence": load_prior,
    "translator": Translator.from_pretrained,
}
"""Loader of each part."""
OPTIONAL: dict[str, Callable[..., PretrainedModel]] = {"budget": BudgetHead.from_pretrained}
"""Parts that a bundle may lack."""


@dataclass(frozen=True)
class EnvironmentFacts(Plain):
    """The environment that the training data was recorded in, as config.json holds it. A policy refuses environments
    that differ from `spec`.

    Attributes:
        action_set, action_hash: Name and hash of the action set.
        frame_skip: Number of 60 Hz frames per step.
        width, height: Size of a frame in pixels.
        engine: "litelab" or "deepmind_lab".
        textures: Looks that were seen in training ("procedural", "labmaze", "original").
        hud: "full", "reduced" or "none".
        domain: Name of the world.
        look: Further settings of how the world is drawn, besides textures and overlay.
    """

    action_set: str
    action_hash: str
    frame_skip: int
    width: int
    height: int
    engine: str
    textures: tuple[str, ...]
    hud: str
    domain: str = field(default="dmlab", metadata={"later": True})
    look: tuple[tuple[str, str], ...] = field(default=(), metadata={"later": True})

    @classmethod
    def of(cls, spec: EnvSpec, textures: tuple[str, ...]) -> "EnvironmentFacts":
        """Make the facts of environments that differ only in their textures."""
        same = {f.name: getattr(spec, f.name) for f in fields(cls) if f.name not in ("textures", "look")}
        look = tuple((name, value) for name, value in spec.look if name not in ("textures", "hud"))
        return cls(**same, textures=textures, look=look)

    @property
    def spec(self) -> EnvSpec:
        """Record of the environment, with the last of the looks that were seen."""
        look = {"hud": self.hud, "textures": self.textures[-1] if self.textures else "", **dict(self.look)}
        return EnvSpec(
            self.domain, self.engine, self.action_set, self.action_hash, self.frame_skip, self.width, self.height,
            tuple((name, value) for name, value in look.items() if value),
        )  # fmt: skip


@dataclass(frozen=True)
class LabelFacts(Plain):
    """The labels that the translator was trained on.

    Attributes:
        name: Name of the label set.
        count: Number of labeled transitions, training and validation together.
        levels: Names of the levels that they come from.
        pairs: Counts of action j after previous action i - 1 in the training labels (row 0: first steps of episodes),
            (A + 1) rows of A counts. The previous-action control plays by them.
    """

    name: str
    count: int
    levels: tuple[str, ...]
    pairs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Decoding(Plain):
    """Default options of the policy's decisions; a temperature of 0 takes the likeliest choice.

    Raises:
        ValueError: A temperature is negative or not a number, the context is not a whole number, or the history is not
            a text that `history_in_words` reads.
    """

    temperature: float = 1.0
    """Temperature of the codes."""
    action_temperature: float = 0.0
    """Temperature of the translator's actions."""
    context: int | None = field(default=None, metadata={"later": True})
    """Number of frames that a decision sees; None for as many as the sequence model was trained with."""
    history: str | None = field(default=None, metadata={"later": True})
    """Number of codes of each past block that decisions see, as in "4", or "auto:0.1" for the fewest that give the
    whole block's action up to this tolerance; None for whole blocks. The interleaved prior sees whole blocks only.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("temperature", "action_temperature"):
            object.__setattr__(self, name, real(getattr(self, name), name))
        if self.context is not None:
            whole(self.context, "context", 2)
        if self.history is not None:
            object.__setattr__(self, "history", str(self.history))
            history_in_words(str(self.history))


@dataclass(frozen=True)
class BundleConfig(Plain):
    """Content of a bundle's config.json.

    Attributes:
        environment: The environment that the training data was recorded in.
        labels: The labels that the translator was trained on.
        decoding: Default options of the policy's decisions.
        training: Origin of the models: data, steps, validation figures, git revision; JSON values, for people.
    """

    environment: EnvironmentFacts
    labels: LabelFacts
    decoding: Decoding = field(default_factory=Decoding)
    training: dict = field(default_factory=dict)
    prior: bool = field(default=True, metadata={"later": True})
    """Whether the bundle has a sequence model; the policy `oracle` plays without one."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the bundle's models."""
        return tuple(part for part in MODELS if self.prior or part != "sequence")


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle: its configuration, its models, where it came from, and the hash of its files."""

    config: BundleConfig
    lam: SlotModel
    sequence: Prior | None
    translator: Translator
    source: str
    hash: str
    folder: Path | None = None
    """Folder of its files; None for a bundle that was made in memory."""
    budget: BudgetHead | None = None
    """Head that chooses budgets; None where none has been trained."""

    @property
    def slots(self) -> int:
        """Number of slots M, which is the largest budget."""
        return self.lam.config.slots

    def prior(self) -> Prior:
        """Return the sequence model.

        Raises:
            CheckpointError: The bundle has none.
        """
        if self.sequence is None:
            raise CheckpointError(
                f"{self.source} has no sequence model, so that only the policy 'oracle' can play it: expected a bundle "
                "made with one."
            )
        return self.sequence

    @property
    def models(self) -> dict[str, Any]:
        """The models that the bundle has, by part."""
        parts = {part: getattr(self, part) for part in (*MODELS, *OPTIONAL)}
        return {part: model for part, model in parts.items() if model is not None}


def folder_of(name: str | Path | None, revision: str | None = None) -> Path:
    """Find the folder of a bundle, and download it from the hub if needed.

    Args:
        name: A folder, a hub id "owner/name", or None for the default: that of the variable `FLEXLAM_CHECKPOINT`, or
            else the bundle that comes with the package.
        revision: Hub revision.

    Raises:
        CheckpointError: There is no such bundle.
    """
    if name is None and (name := default()) is None:
        raise CheckpointError(
            "No checkpoint comes with this version of flexlam_rl: name a bundle's folder or a hub repository, or set "
            f"{VARIABLE} to one."
        )
    folder = local_folder(name)
    if folder is not None:
        return folder
    try:
        return Path(snapshot_download(str(name), revision=revision, allow_patterns=["*.json", "*.safetensors", "*.md"]))
    except Exception as error:  # the hub client raises many types (network, missing repository)
        raise not_on_hub(str(name), error) from None


def files_hash(folder: Path) -> str:
    """Compute the SHA-256 of a bundle's configurations and weights.

    Raises:
        CheckpointError: A file is missing or cannot be read.
    """
    parts = (*read_config(folder).parts, *(part for part in OPTIONAL if (folder / part).is_dir()))
    files = [folder / CONFIG, *(folder / name / file for name in parts for file in (CONFIG, WEIGHTS))]
    try:
        return digest(files)
    except OSError as error:
        raise CheckpointError(
            f"{folder} is not a complete bundle: {Path(error.filename).relative_to(folder)} is missing or unreadable."
        ) from None


def read_config(folder: Path) -> BundleConfig:
    """Read a bundle's configuration.

    Raises:
        CheckpointError: The file is missing or damaged, describes something else, or has a newer format.
    """
    path = folder / CONFIG
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} holds no bundle: {CONFIG} is missing; `flexlam bundle RUN -o DIR` makes one from a training run."
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no readable JSON: {error}.") from None
    if not isinstance(record, dict) or record.get("kind") != KIND:
        found = record.get("class") or record.get("kind") if isinstance(record, dict) else None
        raise CheckpointError(
            f"{path} describes a {found!r}; expected a {KIND!r}: `flexlam bundle RUN -o DIR` makes one from a "
            "training run."
        )
    if not isinstance(record.get("format"), int) or record["format"] > FORMAT:
        raise CheckpointError(
            f"{path} has format {record.get('format')!r}; this version reads up to {FORMAT}: update flexlam_rl."
        )
    config: BundleConfig = from_json(BundleConfig, record.get("config"), f"{path}: config")
    return config


def config_bytes(config: BundleConfig) -> bytes:
    """Return the configuration as the bytes of config.json."""
    return (json.dumps({"format": FORMAT, "kind": KIND, "config": to_json(config)}, indent=1) + "\n").encode()


def load_bundle(
    name: str | Path | None = None, device: str | torch.device = "cpu", revision: str | None = None
) -> Bundle:
    """Load a bundle.

    Args:
        name: A folder, a hub id "owner/name", or None for the one that comes with the package.
        device: Device of the models.
        revision: Hub revision.

    Raises:
        CheckpointError: Files are missing or damaged, hold numbers that are not finite, or do not belong together.
        ValueError: There is no such device.
    """
    target = usable_device(device)
    folder = folder_of(name, revision)
    config = read_config(folder)
    digest = files_hash(folder)
    models: dict[str, Any] = {
        part: load(folder / part, device=target).eval().requires_grad_(False)
        for part, load in (MODELS | OPTIONAL).items()
        if part in config.parts or (part in OPTIONAL and (folder / part).is_dir())
    }
    models.setdefault("sequence", None)
    check_fit(config, models["lam"], models["sequence"], models["translator"], str(folder))
    if "budget" in models and models["sequence"] is not None:
        check_budget_head(models["budget"], models["sequence"], str(folder))
    return Bundle(config, **models, source=str(name or folder), hash=digest, folder=folder.resolve())


def check_fit(config: BundleConfig, lam: SlotModel, sequence: Prior | None, translator: Translator, where: str) -> None:
    """Refuse models that do not belong together.

    Args:
        config: Configuration of the bundle.
        lam, sequence, translator: The models; `sequence` is None where there is none.
        where: Name of the bundle for messages.

    Raises:
        CheckpointError: Two of them differ; the message names what differs, with both values.
    """
    if lam.latent.codes is None and (sequence is None or sequence.config.codes is not None):
        raise CheckpointError(
            f"{where} holds the latent actions of {lam.title}, vectors of {lam.latent.dim} numbers; a policy generates "
            "codes: expected a model with the quantizer fsq or vq, or a prior of vectors (--prior continuous)."
        )
    size = frame_size(lam.config)
    env, slots, actions = config.environment, lam.config.slots, translator.config.actions
    of_prior = {} if sequence is None else {
        "slots of LAM and sequence model": (slots, sequence.config.slots),
        "codes of LAM and sequence model": (lam.latent.codes, sequence.config.codes),
        "numbers a slot of LAM and sequence model": (lam.latent.dim, getattr(sequence.config, "dim", lam.latent.dim)),
        "frame size of LAM and sequence model": (size, frame_size(sequence.config)),
    }  # fmt: skip
    pairs = {
        **of_prior,
        "slots of LAM and translator": (slots, translator.config.slots),
        "numbers a slot of LAM and translator": (lam.latent.dim, translator.config.code_dim),
        "prefix rule of LAM and translator": (lam.config.prefix, translator.config.prefix),
        "frame size of LAM and environment": (size, (env.height, env.width)),
        "action set of translator and environment": (actions.name, env.action_set),
        "hash of the action set of translator and environment": (actions.hash, env.action_hash),
    }
    for what, (one, other) in pairs.items():
        if one != other:
            raise CheckpointError(f"{where}: {what} differ: {one!r} and {other!r}.")
    if sequence is None:
        return
    context, trained = config.decoding.context, sequence.config.frames
    if context is not None and sees_all(sequence):
        raise CheckpointError(
            f"{where}: context is {context!r} frames, but a recurrent prior remembers the whole episode: leave it out."
        )
    if context is not None and not (isinstance(context, int) and 2 <= context <= trained):
        raise CheckpointError(
            f"{where}: context is {context!r} frames; expected 2..{trained}, with which the sequence model was trained."
        )
    if config.decoding.history is not None:
        try:
            check_history(history_in_words(config.decoding.history), lam, sequence)
        except ValueError as error:
            raise CheckpointError(f"{where}: {error}") from None


def check_budget_head(head: BudgetHead, sequence: Prior, where: str) -> None:
    """Refuse a budget head that was made for another prior.

    Raises:
        CheckpointError: A size differs; the message names it, with both values.
    """
    ours = (head.config.slots, head.config.codes, head.config.state_width, head.config.step_width)
    theirs = (sequence.config.slots, sequence.config.codes, *state_widths(sequence))
    for name, one, other in zip(("slots", "codes", "state width", "step width"), ours, theirs, strict=True):
        if one != other:
            raise CheckpointError(f"{where}: {name} of budget head and sequence model differ: {one!r} and {other!r}.")
