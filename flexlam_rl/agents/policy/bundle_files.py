"""Writing a bundle: to a folder, or to a hub repository."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from safetensors.torch import save

from flexlam_rl.agents.policy.bundle import Bundle, BundleConfig, Decoding, config_bytes
from flexlam_rl.models.flexlam.priors import sees_all
from flexlam_rl.nn.pretrained import CONFIG, WEIGHTS, CheckpointError, PretrainedModel
from flexlam_rl.utils.files import atomic_folder, write_atomically

CARD = "README.md"


def free_for_bundle(out: Path) -> Path:
    """Resolve links in the folder that a bundle is to be written to, and check that it is free.

    Raises:
        FileExistsError: It is a file, or a folder that holds something other than a bundle.
    """
    out = out.resolve()  # with "..", or a link, the folder itself is replaced
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; give another folder.")
    if out.exists() and not ((out / CONFIG).is_file() and (out / "lam").is_dir()) and any(out.iterdir()):
        raise FileExistsError(f"{out} holds something other than a bundle; give another folder.")
    return out


def save_bundle(out: Path, bundle: Bundle, decoding: Decoding) -> Path:
    """Write a loaded bundle. With its own decoding, the files equal those that it was loaded from.

    Args:
        out: Folder of the bundle; a bundle there is replaced.
        bundle: The bundle.
        decoding: Default options of its policy's decisions.

    Returns:
        The folder.

    Raises:
        OSError: The folder cannot be written, or holds something else.
    """
    out = free_for_bundle(out)
    config = replace(bundle.config, decoding=decoding)
    card = None
    if config == bundle.config and bundle.folder is not None and (bundle.folder / CARD).is_file():
        card = (bundle.folder / CARD).read_text(encoding="utf-8")  # the card may hold scores that were added later
    half = config.training.get("weights") == "float16"  # such weights are stored in float16 again, without a loss
    write_bundle(out, config, bundle.models, half, card)
    return out


def push_bundle(
    repo_id: str, bundle: Bundle, decoding: Decoding, private: bool | None, token: str | bool | None, message: str
) -> str:
    """Upload a bundle to a hub repository.

    Args:
        repo_id: Hub id "owner/name".
        bundle: The bundle.
        decoding: Default options of its policy's decisions.
        private: Whether a new repository is private; None for the hub's default.
        token: Token of the hub; None for the one that `hf auth login` keeps.
        message: Commit message.

    Returns:
        The address of the commit.

    Raises:
        CheckpointError: The hub refuses the upload, or cannot be reached.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = save_bundle(Path(temporary) / "bundle", bundle, decoding)
        try:
            api = HfApi(token=token)
            api.create_repo(repo_id, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message))
        except Exception as error:  # the hub client raises many types (network, rights, a bad name)
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(f"The policy cannot be uploaded to {repo_id!r}: {why}") from None


def write_bundle(
    out: Path, config: BundleConfig, models: dict[str, PretrainedModel], half: bool = False, card: str | None = None
) -> None:
    """Write a bundle beside its folder and then move it there, so that a reader never sees half of a bundle.

    Args:
        out: Folder of the bundle; a bundle there is replaced.
        config: Content of config.json.
        models: Models, by part.
        half: Whether to store weights in float16.
        card: Text of README.md; None to write one from `config`.

    Raises:
        ValueError: A weight is too large for float16.
        OSError: The folder cannot be written.
    """
    with atomic_folder(out, replace=True) as folder:
        for part, model in models.items():
            model.save_pretrained(folder / part)
            (folder / part / "README.md").unlink(missing_ok=True)  # an empty card of the hub client
            if half:
                learned = {name for name, _ in model.named_parameters()}
                state = {
                    name: (t.half() if name in learned else t).contiguous() for name, t in model.state_dict().items()
                }
                for name, tensor in state.items():
                    if not bool(tensor.isfinite().all()):
                        raise ValueError(
                            f"{part}: tensor {name!r} holds numbers too large for float16; write the bundle without "
                            "half."
                        )
                write_atomically(folder / part / WEIGHTS, save(state, metadata={"class": type(model).__name__}))
        write_atomically(folder / CONFIG, config_bytes(config))
        write_atomically(folder / "README.md", (card or model_card(config, models)).encode())
        for path in (folder, *folder.rglob("*")):
            os.chmod(path, 0o755 if path.is_dir() else 0o644)


def model_card(config: BundleConfig, models: dict[str, PretrainedModel]) -> str:
    """Write the text of a bundle's README.md: the environment and data that it was trained on, and its sizes."""
    env, labels, training = config.environment, config.labels, config.training
    lam: Any = models["lam"].config
    name = models["lam"].title if lam.prefix else f"{models['lam'].title} (K = {lam.slots})"
    sizes = ", ".join(
        f"{part} {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M" for part, model in models.items()
    )
    looks = " and ".join(env.textures)
    lines = [
        "---",
        "library_name: flexlam_rl",
        "license: apache-2.0",
        "---",
        "",
        f"# {name} policy for tasks of {env.domain}",
        "",
        f"- **Slots**: M = {lam.slots}, {_each(models['lam'].latent)} each"
        + (" (any budget 1..M)" if lam.prefix else ""),
        f"- **Parameters**: {sizes}, stored as {training['weights']}",
        f"- **Environment**: {env.engine}, look {looks}, {env.width}x{env.height} frames, overlay {env.hud}, frame "
        f"skip {env.frame_skip}, "
        f"actions {env.action_set}",
        f"- **Video**: {training['steps']} steps of the experts {', '.join(training['experts'])} on "
        f"{len(training['levels'])} levels, "
        "without actions",
        f"- **Labels**: {labels.count} transitions with known actions from {len(labels.levels)} levels (label set "
        f"{labels.name!r})",
        f"- **Play**: {_way(config, models.get('sequence'))}",
        f"- **Made**: {training['date']}, code revision {training['revision'] or 'unknown'}",
        "",
        "Load it with `LatentActionPolicy.from_pretrained(FOLDER, budget=16)`; play the suite with `flexlam suite "
        "--checkpoint FOLDER`."
        if config.prior
        else "Play the suite with `flexlam suite --policy oracle --checkpoint FOLDER`.",
        f"Returns on {env.engine} say nothing about another engine.",
        "",
    ]
    return "\n".join(lines)


def _each(latent: Any) -> str:
    return f"{latent.dim} numbers" if latent.codes is None else f"{latent.codes} codes"


def _way(config: BundleConfig, prior: Any) -> str:
    """Describe in words how the bundle plays."""
    if prior is None:
        return "an expert's next step, encoded and translated (policy `oracle`); it has no sequence model"
    seen = f"seeing {config.decoding.context or prior.config.frames} frames back"
    if sees_all(prior):
        seen = "remembering the whole episode"
    drawn = (_choice("codes", config.decoding.temperature), _choice("actions", config.decoding.action_temperature))
    blocks = config.decoding.history
    cut = f", {blocks} codes of each past block" if blocks else ""
    return f"{', '.join(drawn)}, {seen}{cut}"


def _choice(what: str, temperature: float) -> str:
    return f"{what} drawn at temperature {temperature}" if temperature else f"likeliest {what}"
