"""Learned experts, the predecessors of pixel experts: recurrent policies of sb3-contrib, kept as config.json and
policy.safetensors, with Stable-Baselines3's `predict`.

Legend: `N` environments.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from flexlam_rl.agents.policy.compatibility import environment_spec
from flexlam_rl.agents.policy.draws import generators_of, states_of
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.rows import begun, mask_of
from flexlam_rl.agents.rollout import FRAME, WORDS
from flexlam_rl.envs.base import base_env, batch_size
from flexlam_rl.envs.domains.dmlab.actions import action_set as find_action_set
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.envs.wrappers.instructions import VOCABULARY, tokens
from flexlam_rl.nn.modes import built_plainly, in_own_modes, own_modes
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.numbers import real, whole

KIND = "flexlam_rl.recurrent_ppo"
CONFIG, WEIGHTS = "config.json", "policy.safetensors"
TOKENS = 8


@dataclass(frozen=True)
class Network:
    """The environment that a policy network is made for, and its sizes.

    Attributes:
        level: Name of the level that it was trained on.
        action_set, action_hash, frame_skip, width, height, hud, textures, engine: Settings of the environment that it
            was trained in.
        words: Whether it sees the instruction.
        lstm, features: Widths of the LSTM and of the picture features.
    """

    level: str
    action_set: str = "dreamer15"
    action_hash: str = find_action_set("dreamer15").hash
    frame_skip: int = 4
    width: int = 64
    height: int = 64
    hud: str = "full"
    textures: str = "procedural"
    engine: str = "litelab"
    words: bool = False
    lstm: int = 256
    features: int = 256

    def space(self) -> spaces.Space:
        """Return the space of the network's inputs: pictures with channels first, instructions as numbers of words."""
        image = spaces.Box(0, 255, (3, self.height, self.width), np.uint8)
        if not self.words:
            return image
        return spaces.Dict({FRAME: image, WORDS: spaces.Box(0, len(VOCABULARY) - 1, (TOKENS,), np.int64)})

    def policy_kwargs(self) -> dict[str, Any]:
        """Return the arguments of sb3-contrib's policy."""
        extractor = {"cnn_output_dim": self.features} if self.words else {"features_dim": self.features}
        return {"lstm_hidden_size": self.lstm, "features_extractor_kwargs": extractor}

    @built_plainly
    def build(self) -> Any:
        """Make a fresh policy network."""
        from sb3_contrib.ppo_recurrent import CnnLstmPolicy, MultiInputLstmPolicy

        kind = MultiInputLstmPolicy if self.words else CnnLstmPolicy
        return kind(self.space(), find_action_set(self.action_set).space(), lambda _: 0.0, **self.policy_kwargs())


def parts(policy: Any) -> dict[str, torch.nn.Module]:
    """Return the policy's modules, each of them once.

    Stable-Baselines3 gives its picture network three names, which safetensors refuses.
    """
    return dict(policy.named_children())


def save_policy(folder: Path, network: Network, policy: Any, about: dict[str, Any]) -> None:
    """Write a policy. Each file is written atomically, the config last.

    Args:
        folder: Folder to write into; it is made if it is missing.
        network: The environment that the policy was trained in, and its sizes.
        policy: The policy.
        about: Further values for config.json.
    """
    weights = {
        f"{part}.{name}": value for part, module in parts(policy).items() for name, value in module.state_dict().items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(
        folder / WEIGHTS, save({name: value.detach().cpu().contiguous() for name, value in weights.items()})
    )
    write_atomically(
        folder / CONFIG, json.dumps({"kind": KIND, "network": asdict(network), **about}, indent=1).encode()
    )


def _fill(policy: Any, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Load weights into a policy.

    Raises:
        ValueError: The file's tensors are not those of the policy.
    """
    own = {
        f"{part}.{name}": value for part, module in parts(policy).items() for name, value in module.state_dict().items()
    }
    if set(own) != set(weights):
        odd, missing = sorted(set(weights) - set(own))[:3], sorted(set(own) - set(weights))[:3]
        raise ValueError(f"{path} has unknown tensors {odd} and lacks {missing}.")
    for name, tensor in own.items():
        found = weights[name]
        if found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise ValueError(
                f"{path}: tensor {name!r} is {found.dtype} of shape {tuple(found.shape)}; expected {tensor.dtype} "
                f"{tuple(tensor.shape)}."
            )
        if not bool(found.isfinite().all()):
            raise ValueError(f"{path}: tensor {name!r} holds NaN or infinite numbers.")
    for part, module in parts(policy).items():
        module.load_state_dict(
            {name.removeprefix(f"{part}."): value for name, value in weights.items() if name.startswith(f"{part}.")}
        )


class LearnedExpert:
    """Plays with a policy of sb3-contrib's recurrent PPO.

    Args:
        path: Folder of the policy.
        env: Environment or batch that it will play, with the settings of the one that it was trained in.
        temperature: Number that divides the logits: 1 draws as trained, 0 takes the likeliest action.
        seed: Seed of the draws; with `begin_episodes`, an episode's draws depend only on its own seed.

    Raises:
        ValueError: The folder holds no such policy, or the environment differs from the one that it was trained in.
    """

    def __init__(self, path: str | Path, env: Any, temperature: float = 1.0, seed: int = 0) -> None:
        folder = Path(path)
        try:
            config = json.loads((folder / CONFIG).read_bytes())
            with own_modes():
                weights = load_file(folder / WEIGHTS)
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{folder} holds no learned expert: {CONFIG} or {WEIGHTS} is missing.") from None
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"{folder} holds a damaged learned expert: {error}") from None
        if config.get("kind") != KIND:
            raise ValueError(f"{folder / 'config.json'} describes a {config.get('kind')!r}: expected {KIND!r}.")
        self.network = Network(**config["network"])
        self._check(env)
        with own_modes(), torch.random.fork_rng(devices=[]):  # the drawn weights are replaced at once
            self.policy = self.network.build()
        _fill(self.policy, weights, folder / WEIGHTS)
        self.policy.set_training_mode(False)
        self.temperature = real(temperature, "temperature")
        self._seed = seed = whole(seed, "seed")
        self._n = batch_size(env)
        self._generators = [np.random.default_rng([seed, 1, i]) for i in range(self._n)]

    def _check(self, env: Any) -> None:
        base = base_env(env)
        images = getattr(base, "single_observation_space", None) or base.observation_space
        found = environment_spec(env, EnvSpec(action_set="unknown", frame_skip=0, width=0, height=0))
        size, own_size = (found.height, found.width), (self.network.height, self.network.width)
        pairs = {
            "action set": (self.network.action_set, found.action_set),
            "frame skip": (self.network.frame_skip, found.frame_skip),
            "frame size": (own_size, size),
        }
        for name, (mine, theirs) in pairs.items():
            if mine != theirs:
                raise ValueError(
                    f"This learned expert was trained with {name} {mine!r}, the environment has {theirs!r}."
                )
        if found.action_hash != self.network.action_hash:
            raise ValueError(
                f"Action set {self.network.action_set!r} has changed since this expert was trained (another hash)."
            )
        if self.network.words and not isinstance(images, spaces.Dict):
            raise ValueError(
                f"This learned expert reads the instruction: the environment needs observations ({FRAME!r}, {WORDS!r})."
            )

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        index, numbers = begun(which, seeds, self._n)
        for i, seed in zip(index.tolist(), numbers, strict=True):
            self._generators[i] = np.random.default_rng([self._seed, 0, seed])

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Return everything that later actions depend on."""
        return {"generators": states_of(self._generators), "state": state}

    def restore(self, saved: dict[str, Any]) -> Any:
        """Continue from a snapshot, and return its `state` for `predict`."""
        self._generators = generators_of(saved["generators"])
        return saved["state"]

    @in_own_modes
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Choose actions.

        Returns:
            Actions (N,) int64, or one number for a single environment; and the LSTM's state, two arrays (layers, N,
            width).
        """
        frames, single = read_frames(observation, (3, self.network.height, self.network.width))
        n = len(frames)
        seen: Any = torch.as_tensor(np.ascontiguousarray(frames))
        if self.network.words:
            texts = observation[WORDS]
            rows = [texts] if single else list(texts)
            words = np.stack([tokens(row, TOKENS) if isinstance(row, str) else np.asarray(row) for row in rows])
            seen = {FRAME: seen, WORDS: torch.as_tensor(words)}
        lstm = self.policy.lstm_actor
        if state is None:
            state = (np.zeros((lstm.num_layers, n, lstm.hidden_size), np.float32),) * 2
        starts = (
            np.zeros(n, np.float32)
            if episode_start is None
            else mask_of(episode_start, n, "episode_start").astype(np.float32)
        )
        distribution, (hidden, cell) = self.policy.get_distribution(
            seen, tuple(torch.as_tensor(part) for part in state), torch.as_tensor(starts)
        )
        logits = distribution.distribution.logits.double().numpy()
        if deterministic or self.temperature == 0.0:
            actions = logits.argmax(1)
        else:
            # the Gumbel trick draws from a softmax, here with one generator per environment
            uniform = np.stack([generator.random(logits.shape[1]) for generator in self._generators[:n]])
            actions = (logits / self.temperature - np.log(-np.log(uniform))).argmax(1)
        return (actions[0] if single else actions), (hidden.numpy(), cell.numpy())
