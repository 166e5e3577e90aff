"""Part (b): training throughput, including data, of LAM, prior, VideoGPT, ElasticTok, TECO, Midway and LaMo, beside the
measured peak and the counted roofline.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.one_gpu.roofline import bandwidth, step_costs
from benchmarks.one_gpu.session import Session
from benchmarks.train_throughput import ours, peak
from flexlam_rl.datasets import Episode, Origin, Rollouts
from flexlam_rl.datasets.memory import MemoryStore
from flexlam_rl.models.elastictok.config import PRESETS as ELASTIC_SIZES
from flexlam_rl.models.elastictok.elastictok import ElasticTok
from flexlam_rl.models.elastictok.recipes import RECIPES as ELASTIC_RECIPES
from flexlam_rl.models.elastictok.stages.tokenizer import ElasticTokStage
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage
from flexlam_rl.models.lamo.config import PRESETS as LAMO_SIZES
from flexlam_rl.models.lamo.lamo import LaMo
from flexlam_rl.models.lamo.midway import Midway
from flexlam_rl.models.lamo.recipes import RECIPES as LAMO_RECIPES
from flexlam_rl.models.lamo.stages.lamo import LaMoStage
from flexlam_rl.models.lamo.stages.midway import MidwayStage
from flexlam_rl.models.teco.config import PRESETS as TECO_SIZES
from flexlam_rl.models.teco.recipes import RECIPES as TECO_RECIPES
from flexlam_rl.models.teco.stages.dynamics import DynamicsStage
from flexlam_rl.models.teco.stages.sources import TransitionSource, held_out
from flexlam_rl.models.teco.teco import TECO
from flexlam_rl.models.videogpt.config import PRESETS as VIDEOGPT_SIZES
from flexlam_rl.models.videogpt.config import VideoGPTConfig
from flexlam_rl.models.videogpt.recipes import RECIPES as VIDEOGPT_RECIPES
from flexlam_rl.models.videogpt.stages.videogpt import VideoGPTStage
from flexlam_rl.models.videogpt.stages.vqvae import VQVAEStage
from flexlam_rl.models.videogpt.videogpt import VideoGPT
from flexlam_rl.models.videogpt.vqvae import VQVAE
from flexlam_rl.train.clips import ClipSource, held_out_clips, spread_windows
from flexlam_rl.train.data import CurriculumSource, PairSource, held_out_pairs, held_out_windows
from flexlam_rl.train.trainer import LoopConfig, Stage

NEVER = 10**9
WARM_UP, MOST_SECONDS = 8, 3.0
"""Largest number of steps before the measured ones, and seconds after which no further step is measured."""
ELASTIC_BATCH = 8
"""Largest number of blocks of ElasticTok's paper sizes, of 4,096 tokens each, in a batch."""
TECO_BATCH = 8
"""Largest number of clips of TECO's paper sizes, of 300 frames each, in a batch; the paper's 32 are for several
devices.
"""


def random_rollouts(count: int = 4, length: int = 500, size: int = 64) -> Rollouts:
    """Make frames of noise in memory, because speed does not depend on what they show."""
    rng = np.random.default_rng(0)

    def episode() -> Episode:
        frames = rng.integers(0, 256, (length + 1, size, size, 3), dtype=np.uint8)
        return Episode(frames, rng.integers(0, 15, length).astype(np.int16), np.zeros(length, np.float32))

    stores = [MemoryStore(f"noise-{i}", [episode()], Origin(engine="synthetic")) for i in range(count)]
    return Rollouts(stores)  # type: ignore[arg-type]


def quick(config: LoopConfig, session: Session, **changes: Any) -> LoopConfig:
    """Make a recipe's loop without evaluations and saves; on a CPU in float32 and not compiled."""
    config = replace(config, device=session.device, eval_every=NEVER, save_every=NEVER, log_every=NEVER, **changes)
    return replace(config, compile=False, precision="fp32") if session.device == "cpu" else config


def run(session: Session, figures: dict[str, Any]) -> None:
    """Measure the device, then each preset's models."""
    device, size = session.device, session.size
    if "peak_flops" not in figures:
        bf16 = device.startswith("cuda")
        figures["peak_flops"] = peak(device, torch.bfloat16 if bf16 else torch.float32, 2.0 if bf16 else 0.3)
        figures["bytes_per_s"] = bandwidth(device, 1.0 if bf16 else 0.2)
        session.save("throughput", figures)
    data = random_rollouts() if device != "cpu" else random_rollouts(1, 60)
    for preset in size.throughput_presets:
        measures = {"lam": _lam, "sequence": _sequence}
        measures |= {"vqvae": _vqvae, "videogpt": _videogpt} if preset in VIDEOGPT_RECIPES else {}
        measures |= {"elastictok": _elastictok} if preset in ELASTIC_RECIPES else {}
        measures |= {"teco": _teco} if preset in TECO_RECIPES else {}
        measures |= {"midway": _midway, "lamo": _lamo} if preset in LAMO_RECIPES else {}
        for name, measure in measures.items():
            key = f"{preset}/{name}"
            if key not in figures:
                figures[key] = measure(session, figures, preset, data)
                session.save("throughput", figures)


def _lam(session: Session, figures: dict[str, Any], preset: str, data: Rollouts) -> dict[str, Any]:
    recipe = RECIPES[preset]
    loop = quick(recipe.lam, session, steps=session.size.throughput_steps)

    def stage() -> LAMStage:
        source = PairSource(data, loop.batch, 0, device=session.device)
        return LAMStage(LAM(recipe.sizes.lam), source, held_out_pairs(data, 4))

    return _measured(session, figures, loop, stage, "transitions_per_s", 1)


def _sequence(session: Session, figures: dict[str, Any], preset: str, data: Rollouts) -> dict[str, Any]:
    recipe = RECIPES[preset]
    frames = recipe.sizes.sequence.frames
    # whole contexts, as in the recipe's second part, and including the codes of the frozen LAM
    loop = quick(
        recipe.sequence, session, steps=session.size.throughput_steps, batch=max(1, recipe.sequence.batch // 2)
    )

    def stage() -> SequenceStage:
        source = CurriculumSource(data, 2 * loop.batch, 2, frames, 0, 0, device=session.device)
        lam = LAM(recipe.sizes.lam).to(session.device)
        return SequenceStage(SequenceModel(recipe.sizes.sequence), lam, source, held_out_windows(data, 1, frames))

    return _measured(session, figures, loop, stage, "codes_per_s", (frames - 1) * recipe.sizes.sequence.slots)


def _vqvae(session: Session, figures: dict[str, Any], preset: Any, data: Rollouts) -> dict[str, Any]:
    sizes = VIDEOGPT_SIZES[preset].vqvae
    loop = quick(VIDEOGPT_RECIPES[preset].vqvae, session, steps=session.size.throughput_steps)
    clips = spread_windows(data, sizes.frames, 1)

    def stage() -> VQVAEStage:
        source = ClipSource(clips, 1, loop.batch, 0, device=session.device)
        return VQVAEStage(VQVAE(sizes), source, held_out_clips(clips, 1, 2)["frames"])

    return _measured(session, figures, loop, stage, "frames_per_s", sizes.frames)


def _videogpt(session: Session, figures: dict[str, Any], preset: Any, data: Rollouts) -> dict[str, Any]:
    sizes = VIDEOGPT_SIZES[preset]
    loop = quick(VIDEOGPT_RECIPES[preset].prior, session, steps=session.size.throughput_steps)
    clips = spread_windows(data, sizes.vqvae.frames, 1)

    def stage() -> VideoGPTStage:
        source = ClipSource(clips, 1, loop.batch, 0, device=session.device)
        # includes the codes of the frozen VQ-VAE
        model = VideoGPT(VideoGPTConfig(sizes.vqvae, sizes.prior)).to(session.device)
        return VideoGPTStage(model, source, held_out_clips(clips, 1, 2))

    return _measured(session, figures, loop, stage, "frames_per_s", sizes.vqvae.frames)


def _elastictok(session: Session, figures: dict[str, Any], preset: Any, data: Rollouts) -> dict[str, Any]:
    sizes, recipe = ELASTIC_SIZES[preset, "fsq"], ELASTIC_RECIPES[preset]
    loop = quick(recipe.tokenizer(1), session, steps=session.size.throughput_steps)
    # the paper's batches are for hundreds of devices
    loop = replace(loop, batch=min(loop.batch, ELASTIC_BATCH))
    clips = spread_windows(random_rollouts(1, 60, sizes.image_size), sizes.frames, 1)

    def stage() -> ElasticTokStage:
        source = ClipSource(clips, 1, loop.batch, 0, device=session.device)
        return ElasticTokStage(ElasticTok(sizes), source, held_out_clips(clips, 1, 2)["frames"])

    return _measured(session, figures, loop, stage, "tokens_per_s", sizes.tokens)


def _teco(session: Session, figures: dict[str, Any], preset: Any, data: Rollouts) -> dict[str, Any]:
    sizes, recipe = TECO_SIZES[preset].teco, TECO_RECIPES[preset]
    loop = quick(recipe.dynamics, session, steps=session.size.throughput_steps)
    loop = replace(loop, batch=min(loop.batch, TECO_BATCH))
    clips = spread_windows(data, sizes.frames, 1)

    def stage() -> DynamicsStage:
        source = TransitionSource(clips, loop.batch, 0, device=session.device)
        # includes the codes of the frozen VQ-GAN
        model = TECO(sizes).to(session.device)
        return DynamicsStage("teco", model, source, held_out(clips, 1))

    return _measured(session, figures, loop, stage, "frames_per_s", sizes.frames)


def _midway(session: Session, figures: dict[str, Any], preset: Any, data: Rollouts) -> dict[str, Any]:
    sizes, recipe = LAMO_SIZES[preset].midway, LAMO_RECIPES[preset]
    loop, clips = quick(recipe.midway, session, steps=session.size.throughput_steps), spread_windows(data, 2, 1)

    def stage() -> MidwayStage:
        source = ClipSource(clips, 1, loop.batch, 0, device=session.device)
        return MidwayStage(Midway(sizes), source, held_out_clips(clips, 1, 2)["frames"])

    return _measured(session, figures, loop, stage, "transitions_per_s", 1)


def _lamo(session: Session, figures: dict[str, Any], preset: Any, data: Rollouts) -> dict[str, Any]:
    sizes, recipe = LAMO_SIZES[preset].lamo, LAMO_RECIPES[preset]
    loop = quick(recipe.lamo, session, steps=session.size.throughput_steps)
    clips = spread_windows(data, sizes.frames, 1)

    def stage() -> LaMoStage:
        source = ClipSource(clips, 1, loop.batch, 0, device=session.device)
        return LaMoStage(LaMo(sizes), source, held_out_clips(clips, 1, 2)["frames"])

    return _measured(session, figures, loop, stage, "clips_per_s", 1)


def _measured(
    session: Session, figures: dict[str, Any], loop: LoopConfig, build: Callable[[], Stage], unit: str, per_example: int
) -> dict[str, Any]:
    """Measure the speed of a stage, and its shares of the peak and the roofline."""
    device = session.device
    torch.compiler.reset()  # graphs of other sizes count against the limit of recompilations
    torch.manual_seed(0)
    stage = build()
    for module in stage.trained().values():
        module.to(device)
    batch = stage.next_batch(device)
    generator = torch.Generator(device).manual_seed(0)

    def loss(count: int) -> Tensor:
        few = {name: values.repeat(count, *[1] * (values.ndim - 1))[:count] for name, values in batch.items()}
        kind = torch.device(device).type
        with torch.autocast(kind, torch.bfloat16, enabled=loop.precision == "bf16"):
            return stage.loss(few, generator)[0]

    parameters = sum(p.numel() for m in stage.trained().values() for p in m.parameters() if p.requires_grad)
    operations, moved = step_costs(loss, loop.batch, parameters)
    warm = max(1, min(loop.steps // 3, WARM_UP))
    seconds = ours(build(), loop, warm, MOST_SECONDS)
    least = max(operations / figures["peak_flops"], moved / figures["bytes_per_s"])
    return {
        unit: loop.batch * per_example / seconds,
        "batch": loop.batch,
        "seconds_per_step": seconds,
        "operations_per_step": operations,
        "bytes_per_step": moved,
        "share_of_peak": operations / seconds / figures["peak_flops"],
        "share_of_roofline": least / seconds,
        "bound_by": "operations" if least == operations / figures["peak_flops"] else "bytes",
    }
