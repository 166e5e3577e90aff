"""From a folder of mp4 files of a world that is not DeepMind Lab to a latent action model without a failure."""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from flexlam_rl.cli import main
from flexlam_rl.datasets.store import open_rollouts
from flexlam_rl.models.flexlam.config import DecoderConfig, EncoderConfig, LAMConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.train.data import PairSource, held_out_pairs
from flexlam_rl.train.trainer import LoopConfig, run
from flexlam_rl.utils.video import write_video

SIZE = 32


class Wander(gym.Env[np.ndarray, int]):
    """A window over an endless surface of random colored waves; an action moves it by 4 pixels, or not at all."""

    action_space = gym.spaces.Discrete(5)
    observation_space = gym.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin on another surface."""
        super().reset(seed=seed)
        random = self.np_random
        self._waves = random.integers(1, 5, (2, 4, 3)) * random.choice((-1, 1), (2, 4, 3))
        self._phase, self._at = random.uniform(0, 2 * np.pi, (4, 3)), np.zeros(2)
        return self._seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move."""
        self._at = self._at + ((0, 0), (0, 4), (0, -4), (4, 0), (-4, 0))[action]
        return self._seen(), 0.0, False, False, {}

    def _seen(self) -> np.ndarray:
        places = [(np.arange(SIZE) + start) * (2 * np.pi / 56) for start in self._at]
        down, across = self._waves
        waves = np.sin(places[0][:, None, None, None] * down + places[1][:, None, None] * across + self._phase)
        return np.clip(128 + 45 * waves.sum(2), 0, 255).astype(np.uint8)


def film(folder: Path, videos: int, frames: int) -> None:
    """Film random walks; the actions are thrown away."""
    folder.mkdir()
    env = Wander()
    env.action_space.seed(0)
    for number in range(videos):
        seen = [env.reset(seed=number)[0]]
        while len(seen) < frames:
            seen.append(env.step(int(env.action_space.sample()))[0])
        write_video(folder / f"walk {number}.mp4", iter(seen), fps=10)


def test_a_model_of_ones_own_video_has_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(tmp_path / "films", 40, 40)
    # a surface of high contrast changes much when it moves: at the usual threshold some steps would pass for cuts
    command = ["data", "import", "video", str(tmp_path / "films"), "--cuts", "0.6", "--out", str(tmp_path / "data")]
    assert main(command) == 0
    train, test = (open_rollouts(tmp_path / "data", split=split) for split in ("train", "test"))
    assert (train.steps, test.steps) == (36 * 39, 4 * 39) and not train.stores[0].restart[:].any()
    encoder = EncoderConfig(width=64, depth=2, heads=4, patch=8)
    decoder = DecoderConfig(width=64, depth=2, heads=4, ffn=128, patch=8, predict="frame")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        lam = LAM(LAMConfig(image_size=SIZE, slots=4, encoder=encoder, decoder=decoder))
        stage = LAMStage(lam, PairSource(train, 32, 0), held_out_pairs(test, 64), flip=False)
        muon: dict[str, Any] = {"optimiser": "muon", "lr": 3e-3, "matrix_lr": 3e-3}
        run(stage, LoopConfig(steps=250, batch=32, warmup=20, eval_every=250, save_every=250, **muon), tmp_path / "run")
        model = tmp_path / "run/best/lam"
        command = ["health", str(model), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "report")]
        assert main([*command, "--transitions", "60"]) == 0
    finally:
        torch.set_num_threads(before)
    figures = json.loads((tmp_path / "report/health.json").read_text())
    assert figures["verdict"] != "bad", capsys.readouterr().out
    assert not [check for check in figures["checks"] if check["found"] and check["weight"] == "failure"]
    rows = {(row["codes"], row["k"]): row["loss"] for row in figures["reconstruction"]}
    assert rows["codes", 4] < 0.85 * rows["null", 0], "four codes tell much of the next frame"
