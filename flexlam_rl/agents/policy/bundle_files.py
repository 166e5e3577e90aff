"""Writing a bundle: to a folder, or to a hub repository."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from safetensors.torch import save

from flexlam_rl.agents.policy.bundle import Bundle, BundleConfig, Decoding, config_bytes
from flexlam_rl.nn.pretrained import CONFIG, WEIGHTS, CheckpointError, PretrainedModel
from flexlam_rl.utils.files import atomic_folder, write_atomically

CARD = "README.md"


def free_for_bundle(out: Path) -> Path:
    """The folder that a bundle may be written to, without links.

    Raises:
        FileExistsError: It is a file, or holds something other than a bundle.
    """
    out = out.resolve()  # "..", or a link, names the folder that is replaced
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; give another folder.")
    if out.exists() and not ((out / CONFIG).is_file() and (out / "lam").is_dir()) and any(out.iterdir()):
        raise FileExistsError(f"{out} holds something other than a bundle; give another folder.")
    return out


def save_bundle(out: Path, bundle: Bundle, decoding: Decoding) -> Path:
    """Write a loaded bundle; with the decoding that it came with, its files are equal to those it was loaded from.

    Args:
        out: The folder; a bundle there is replaced.
        bundle: Its models and configuration.
        decoding: How its policy decides.

    Returns:
        The folder.

    Raises:
        OSError: It cannot be written, or holds something else.
    """
    out = free_for_bundle(out)
    config = replace(bundle.config, decoding=decoding)
    card = None
    if config == bundle.config and bundle.folder is not None and (bundle.folder / CARD).is_file():
        card = (bundle.folder / CARD).read_text(encoding="utf-8")  # it may hold scores
    half = config.training.get("weights") == "float16"  # weights that were rounded once are not rounded again
    write_bundle(out, config, bundle.models, half, card)
    return out


def push_bundle(
    repo_id: str, bundle: Bundle, decoding: Decoding, private: bool | None, token: str | bool | None, message: str
) -> str:
    """Upload a bundle to a hub repository; returns the address of the commit.

    Raises:
        CheckpointError: The hub refuses the upload, or cannot be reached.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = save_bundle(Path(temporary) / "bundle", bundle, decoding)
        try:
            api = HfApi(token=token)
            api.create_repo(repo_id, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message))
        except Exception as error:  # whatever the hub client raises (network, rights, a bad name) ends here
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(f"The policy cannot be uploaded to {repo_id!r}: {why}") from None


def write_bundle(
    out: Path, config: BundleConfig, models: dict[str, PretrainedModel], half: bool = False, card: str | None = None
) -> None:
    """Write a bundle: beside its folder, then in place, so that a reader never sees half of one.

    Args:
        out: The folder; a bundle there is replaced.
        config: Content of its config.json.
        models: Its models, by part.
        half: Store weights in float16.
        card: Its README.md, None to write one from `config`.

    Raises:
        ValueError: A weight is too large for float16.
        OSError: The folder cannot be written.
    """
    with atomic_folder(out, replace=True) as folder:
        for part, model in models.items():
            model.save_pretrained(folder / part)
            (folder / part / "README.md").unlink(missing_ok=True)  # the hub client's, about nothing in particular
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
    """README.md of a bundle: what it was trained in and on, and its sizes."""
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
    """How it plays, in words."""
    if prior is None:
        return "an expert's next step, encoded and translated (policy `oracle`); it has no sequence model"
    seen = config.decoding.context or prior.config.frames
    drawn = (_choice("codes", config.decoding.temperature), _choice("actions", config.decoding.action_temperature))
    return f"{', '.join(drawn)}, seeing {seen} frames back"


def _choice(what: str, temperature: float) -> str:
    return f"{what} drawn at temperature {temperature}" if temperature else f"likeliest {what}"
