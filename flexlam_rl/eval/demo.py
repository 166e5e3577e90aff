"""A first look at a policy: a picture of what growing prefixes carry, and a video of an episode that it plays.

Legend: `B` transitions, `K` budget, `M` slots, `C H W` frame.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console

from flexlam_rl.agents.action_words import action_in_words
from flexlam_rl.agents.environments import compile_first, evaluation_seed, make_single
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.agents.watchers import Counter
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.envs.base import attribute
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.sheets import grid
from flexlam_rl.utils.number_lists import budget_list
from flexlam_rl.utils.numbers import int64, real
from flexlam_rl.utils.pictures import CAPTION, Picture, beside, enlarged, evenly, panel
from flexlam_rl.utils.progress import lasting_bar
from flexlam_rl.utils.video import write_video

PICTURE, VIDEO = "prefixes.png", "episode.mp4"
SHOWN = (1, 4, 16)
"""Budgets of the picture; those above a model's number of slots are left out."""
ROWS, DECODER_STEPS = 5, 8
SIZE, LINE = 256, 2 * CAPTION
"""Height of a frame of the video, and of a line of text beside it, in pixels."""


def demonstrate(out: Path, level: str, budget: int | None, seconds: float, seed: int) -> None:
    """Let the default policy play the beginning of an episode, and write a picture and a video of it.

    Args:
        out: Folder to write `PICTURE` and `VIDEO` into.
        level: Name of the task.
        budget: Number of codes per decision, K; None for 16, or for M if that is less.
        seconds: Length of the video, at least two steps of the world.
        seed: Seed of the episode, of the policy's draws and of the decoder's noise.

    Raises:
        ImportError: The extra `models` is not installed.
        ValueError: An argument is not allowed, or there is no checkpoint that can be used.
        OSError: The folder cannot be written.
    """
    int64(seed, "seed", 0)
    real(seconds, "seconds")
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{str(out)!r} is a file; expected a folder to write into.")
    torch.set_num_threads(1)  # results do not depend on the number of cores
    player, console = Player(seed=seed), Console()
    bundle = player.bundle
    spec = find_domain(bundle.config.environment.domain).resolve(bundle.config.environment.spec)
    level = find_domain(spec.domain).task(level).name
    prefix = bundle.lam.config.prefix
    if budget is None:
        budget = min(16, bundle.slots) if prefix else bundle.slots
    budget_list(str(budget), bundle.slots, prefix)  # refuses a budget that does not fit
    compile_first(spec, console)
    env = make_single(spec, level, evaluation=True)
    try:
        policy = player.make(env, budget)
        rate = float((attribute(env, "metadata") or {}).get("render_fps", 15))
        steps = round(seconds * rate)
        if steps < 2:  # the picture needs a transition, and the frame after the last step may not be a real one
            raise ValueError(f"seconds is {seconds:g}; expected at least {1.5 / rate:.2g}, which are two steps.")
        out.mkdir(parents=True, exist_ok=True)
        name = Path(bundle.source).name
        print(f"{name} plays {level} at K = {budget}, at most {steps} steps.", flush=True)
        with lasting_bar("playing", console) as report:
            episode = played(env, policy, steps, seed, report)
    finally:
        env.close()
    count = write_video(out / VIDEO, video_pictures(episode, spec, level, budget, bundle.slots), rate)
    total = 0.0 if episode.reward is None else float(episode.reward.sum())
    print(f"{out / VIDEO}: {count} frames, {count / rate:.0f} s, return {total:g}", flush=True)
    columns = prefix_columns(bundle.lam, episode, ROWS, seed)
    grid(columns, out / PICTURE)
    print(f"{out / PICTURE}: {len(columns['frame'])} transitions, and what K codes tell of the next frame")


def played(env: gym.Env[Any, Any], policy: Any, steps: int, seed: int, report: Callable[[int, int], None]) -> Episode:
    """Play an episode, or its beginning.

    Args:
        env: The environment.
        policy: The policy that plays.
        steps: Largest number of decisions.
        seed: Seed of the world (from the evaluation stream, which training never uses) and of the policy's draws.
        report: Called with the number of decisions so far, and with `steps`.

    Returns:
        The episode.
    """
    made = 0

    def stepped(playing: int) -> None:
        nonlocal made
        made += playing
        report(made, steps)

    limited = gym.wrappers.TimeLimit(env, steps)
    starts = in_order([Start(0, evaluation_seed(seed), seed)])
    ((_, episode),) = play_episodes(limited, policy, starts, watchers=(Counter(stepped),))
    found: Episode = episode
    return found


def video_pictures(episode: Episode, spec: EnvSpec, level: str, budget: int, slots: int) -> Iterator[Picture]:
    """Make the pictures of the video: each frame of an episode, with the decision beside it.

    Args:
        episode: An episode with actions and rewards.
        spec: Record of the environment, which names the actions.
        level: Name of the task.
        budget, slots: K and M.
    """
    factor = max(1, SIZE // episode.frames.shape[1])
    rewards = np.zeros(0) if episode.reward is None else episode.reward
    totals = np.concatenate([[0.0], np.cumsum(rewards, dtype=np.float64)])
    for t, frame in enumerate(episode.frames):
        picture = enlarged(frame, factor)
        action = action_name(episode, t, spec) if t < episode.length else "last frame"
        lines = (*level.split("_"), "", f"budget {budget} of {slots}", action, f"return {totals[t]:g}")
        yield beside([picture, panel(lines, picture.shape[0], SIZE, LINE)])


def action_name(episode: Episode, t: int, spec: EnvSpec) -> str:
    """Name the action of step `t`: by words where its action set has them, or by numbers."""
    taken = episode.action if episode.action is not None else episode.action_native
    assert taken is not None
    return action_in_words(taken[t], spec)


def prefix_columns(lam: LAM, episode: Episode, count: int, seed: int) -> dict[str, torch.Tensor]:
    """Decode transitions that are spread evenly over an episode, none of them across a restart of its map.

    Args:
        lam: Latent action model that encodes and decodes.
        episode: An episode with at least one transition.
        count: Largest number of transitions, B.
        seed: Seed of the decoder's noise, which is the same for every budget.

    Returns:
        Columns of uint8 (B, C, H, W): the current frame, the true next frame, and the decoded one for each budget.
    """
    frames = torch.from_numpy(episode.frames).movedim(-1, 1).contiguous()
    restart = np.zeros(len(frames), np.bool_) if episode.restart is None else episode.restart
    good = np.flatnonzero(~restart[1:])
    rows = good[evenly(count, len(good))]
    obs, next_obs = frames[rows], frames[rows + 1]
    codes = lam.encode(obs, next_obs)
    slots = lam.config.slots
    sweep = [k for k in SHOWN if k <= slots] if lam.config.prefix else [slots]
    columns = {"frame": obs, "next": next_obs}
    for k in sweep:
        generator = torch.Generator().manual_seed(seed)
        columns[f"K = {k}"] = lam.decode(obs, codes, k, DECODER_STEPS, generator)
    return columns
