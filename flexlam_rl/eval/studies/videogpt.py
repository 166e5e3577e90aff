"""`flexlam study videogpt`: the ablations of VideoGPT (dissertation, section 2.4), over training seeds.

Each arm differs from "base" in one thing. The arms "balanced" and "space-heavy" have equally many codes of a clip, in
other shapes, and differ from each other. All VQ-VAEs train for the same number of steps, and so do all priors. The
contrasts (`claims_of`) are fixed here, before any run; the training seed is their unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from flexlam_rl.eval.studies.over_seeds import Claim, over_seeds
from flexlam_rl.eval.studies.study import ArmJob, Study, StudyDefinition, StudyOptions
from flexlam_rl.models.videogpt.config import PRESETS, Preset
from flexlam_rl.models.videogpt.recipes import PresetName
from flexlam_rl.utils.files import read_json
from flexlam_rl.utils.options import free, tidy, whole

BATCH = 32
"""Clips that are encoded or sampled together."""


class Arm(NamedTuple):
    """What an arm trains."""

    vqvae: dict[str, Any] | None
    """Options of its VQ-VAE; None for the one of "base"."""
    prior: dict[str, Any] | None
    """Options of its prior; None for an arm that is about the VQ-VAE alone."""


def arms_of(preset: Preset) -> dict[str, Arm]:
    """Return the arms by name, with the options that differ from the preset."""
    own, prior = preset.vqvae, preset.prior
    time, space = own.down_time, own.down_space
    return {
        "base": Arm({}, {}),
        "no-attention": Arm({"attention": False, "blocks": 2 * own.blocks}, None),
        "no-normalise": Arm({"normalise": False}, None),
        "codebooks-4": Arm({"codebooks": 4, "down_space": 2 * space}, {}),
        "balanced": Arm({"down_time": time // 2, "down_space": space}, {}),
        "space-heavy": Arm({"down_time": 2 * time, "down_space": space // 2}, {}),
        "half-depth": Arm(None, {"depth": max(1, prior.depth // 2)}),
    }


def claims_of(distance: str) -> list[Claim]:
    """Return the paper's claims: one arm's figure minus another's, and its expected sign."""
    return [
        Claim("axial attention lowers the NMSE", "nmse", "base", "no-attention", -1),
        Claim("a normalised loss keeps more codes alive", "codes_alive", "base", "no-normalise", 1),
        Claim(f"one codebook beats four at equally many codes in {distance}", distance, "base", "codebooks-4", -1),
        Claim(f"balanced codes beat space-heavy ones in {distance}", distance, "balanced", "space-heavy", -1),
        Claim("a deeper prior needs fewer bits per code", "bits_per_code", "base", "half-depth", -1),
    ]


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Train VideoGPT with and without axial attention, with other codes, losses and depths, and compare them."""

    data: Path
    """Folder of the rollouts (a training and a test split)."""
    out: Path
    """Folder of the study; the same command continues it."""
    preset: PresetName = "tiny"
    """Preset of sizes, lengths and rates."""
    seeds: int = 3
    """Number of trainings of each arm."""
    vqvae_steps: int | None = None
    """Number of steps of every VQ-VAE, instead of the preset's."""
    prior_steps: int | None = None
    """Number of steps of every prior, instead of the preset's."""
    clips: int = 128
    """Number of held-out clips to reconstruct, and of clips to sample."""
    extractor: str = "efficientnet-lite0"
    """Network of the Fréchet distances, which are named after it."""
    device: str = field(default="cpu", metadata=free())

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range.
        """
        tidy(self)
        for name in ("seeds", "vqvae_steps", "prior_steps"):
            whole(self, name, 1)
        whole(self, "clips", 2)


def plan(options: Options) -> Study[ArmJob]:
    """Make the study.

    Raises:
        ValueError: The data have too few clips, or there is no such extractor.
    """
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval.video.extractors import make_extractor
    from flexlam_rl.train.clips import check_enough_clips

    make_extractor(options.extractor)
    check_enough_clips(open_rollouts(options.data, split="test"), _frames(options), 1, options.clips)
    arms = arms_of(PRESETS[options.preset])
    study = Study(
        title="videogpt",
        jobs=[ArmJob(name, seed) for seed in range(options.seeds) for name in arms],
        train=lambda job: train(job, arms[job.arm], options),
        measure=lambda job: [{"arm": job.arm, "seed": job.seed, **measured(job, arms[job.arm], options)}],
        report=lambda: report(study, options),
        out=options.out,
        config=options,
    )
    return study


def _frames(options: Options) -> int:
    """Frames of a clip, the same in all arms."""
    return PRESETS[options.preset].vqvae.frames


@lru_cache(maxsize=1)
def _held_out(options: Options) -> tuple[Any, Any]:
    """Held-out clips, uint8 (N, T, C, H, W), and their features; all arms are measured on them."""
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval.video.distances import clip_vectors
    from flexlam_rl.eval.video.extractors import make_extractor
    from flexlam_rl.train.clips import held_out_clips, spread_windows

    windows = spread_windows(open_rollouts(options.data, split="test"), _frames(options), 1)
    clips = held_out_clips(windows, 1, options.clips)["frames"]
    return clips, clip_vectors(make_extractor(options.extractor), clips)


def _run(name: str, seed: int, options: Options) -> Path:
    return options.out / "runs" / f"{name}-{seed}"


def train(job: ArmJob, arm: Arm, options: Options) -> None:
    """Train an arm's models, or continue them."""
    from flexlam_rl.models.videogpt.stages.definitions import VideoGPTOptions, VQVAEOptions
    from flexlam_rl.train.run_stage import train_stage

    run = _run(job.arm, job.seed, options)
    shared: dict[str, Any] = {
        "data": options.data, "out": run, "preset": options.preset, "seed": job.seed, "device": options.device,
    }  # fmt: skip
    if arm.vqvae is not None:
        train_stage("vqvae", VQVAEOptions(**shared, steps=options.vqvae_steps, **arm.vqvae))
    if arm.prior is not None:
        source = None if arm.vqvae is not None else _run("base", job.seed, options)
        train_stage("videogpt", VideoGPTOptions(**shared, steps=options.prior_steps, vqvae_run=source, **arm.prior))


def measured(job: ArmJob, arm: Arm, options: Options) -> dict[str, float]:
    """Measure reconstructions of held-out clips, and samples of the prior, if the arm has one."""
    import torch

    from flexlam_rl.eval.video.distances import clip_vectors
    from flexlam_rl.eval.video.extractors import make_extractor
    from flexlam_rl.eval.video.figures import distribution_figures
    from flexlam_rl.eval.video.pixels import normalised_error
    from flexlam_rl.models.videogpt.videogpt import VideoGPT
    from flexlam_rl.models.videogpt.vqvae import VQVAE
    from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit
    from flexlam_rl.train.clips import write_clips, write_film

    run = _run(job.arm, job.seed, options)
    figures: dict[str, float] = {}
    extractor, frames = make_extractor(options.extractor), _frames(options)
    clips, real = _held_out(options)
    if arm.vqvae is not None:
        vqvae = VQVAE.from_pretrained(run / "vqvae/best/vqvae", device=options.device).eval()
        figures |= {name: _saved(run / "vqvae")[name] for name in ("codes_alive", "perplexity")}
    else:
        vqvae = VideoGPT.from_pretrained(run / "videogpt/best/videogpt", device=options.device).vqvae
    with torch.no_grad():
        rebuilt = torch.cat([vqvae.reconstruct(part.to(options.device)).cpu() for part in clips.split(BATCH)])
    again = clip_vectors(extractor, rebuilt)
    if arm.vqvae is not None:
        truth, found = (to_unit(x.flatten(0, 1)) for x in (clips, rebuilt))
        figures["nmse"] = float(normalised_error(found, truth, float(truth.var())).mean())
        figures["psnr"] = float(peak_signal_to_noise(found, truth).mean())
        figures |= distribution_figures(real, again, extractor, frames, "rebuilt-frechet")
    shown = [clips[0], rebuilt[0]]
    if arm.prior is not None:
        model = VideoGPT.from_pretrained(run / "videogpt/best/videogpt", device=options.device).eval()
        generator = torch.Generator(options.device).manual_seed(job.seed)
        counts = [len(part) for part in clips.split(BATCH)]
        made = torch.cat([model.sample(count, generator=generator).cpu() for count in counts])
        drawn = clip_vectors(extractor, made)
        figures |= distribution_figures(real, drawn, extractor, frames)
        figures |= distribution_figures(again, drawn, extractor, frames, "frechet-to-rebuilt")
        figures |= {name: _saved(run / "videogpt")[name] for name in ("bits_per_code", "bits_per_value")}
        shown += list(made[:3])
        # four clips of the data above eight samples
        write_film(options.out / "clips" / job.name, [*clips[:: len(clips) // 4 or 1][:4], *made[:8]], columns=4)
    write_clips(options.out / "clips" / f"{job.name}.png", shown)
    return figures


def _saved(stage: Path) -> dict[str, float]:
    """Figures of a stage's best checkpoint."""
    found: dict[str, float] = read_json(stage / "best" / "metrics.json")
    return found


def report(study: Study[ArmJob], options: Options) -> str:
    """Write results.json and summary.md of the jobs so far, and return the page."""
    rows, name = study.rows(), options.extractor.partition(":")[0]
    distance = f"frechet-{name}"
    columns = [
        ("NMSE", "nmse", 4), ("PSNR", "psnr", 2), ("codes alive", "codes_alive", 3), ("perplexity", "perplexity", 1),
        (f"rebuilt-{distance}", f"rebuilt-{distance}", 1), (distance, distance, 1),
        (f"frechet-motion-{name}", f"frechet-motion-{name}", 1), ("bits per code", "bits_per_code", 3),
        ("bits per value", "bits_per_value", 4),
    ]  # fmt: skip
    lines = [
        f"# VideoGPT's ablations: {options.preset}, {options.clips} held-out clips", "",
        "Means over seeds. Reconstructions (rebuilt-...) are compared with their clips, samples with other clips.", "",
        f"| arm | seeds | {' | '.join(title for title, _, _ in columns)} |", "|---" * (2 + len(columns)) + "|",
    ]  # fmt: skip
    for arm in arms_of(PRESETS[options.preset]):
        own = [row for row in rows if row["arm"] == arm]
        if own:
            cells = " | ".join(_cell(own, figure, digits) for _, figure, digits in columns)
            lines.append(f"| {arm} | {len(own)} | {cells} |")
    page = "\n".join([*lines, "", *(line for claim in claims_of(distance) for line in claim.lines(rows))])
    study.write(rows, page)
    return page


def _cell(rows: Sequence[dict[str, Any]], figure: str, digits: int) -> str:
    values = [row[figure] for row in rows if figure in row]
    return over_seeds(values, digits)[0] if values else ""


STUDY = StudyDefinition(Options, plan, "VideoGPT's ablations: attention, codes, loss and depth (section 2.4)")
