"""VIPER: what is scored, what is not, and that a recording has the rewards that were given when it was played."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from flexlam_rl.agents.rewards.adversarial import AdversarialImitation
from flexlam_rl.agents.rewards.bonuses import Disagreement, RandomNetworkDistillation
from flexlam_rl.agents.rewards.density import replay
from flexlam_rl.agents.rewards.flexlam_density import FlexLAMDensity
from flexlam_rl.agents.rewards.viper import VectorViperReward, ViperReward
from flexlam_rl.agents.rewards.window_density import WindowDensity
from flexlam_rl.models.flexlam.config import PRESETS as FLEXLAM
from flexlam_rl.models.flexlam.continuous.config import SIZES as CONTINUOUS
from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.videogpt.config import VIPER_PRESETS, VideoGPTConfig
from flexlam_rl.models.videogpt.prior import Told
from flexlam_rl.models.videogpt.videogpt import VideoGPT
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.train.state import load_state, save_state

SIZE = 32


class Wheel(gym.Env):
    """A random texture that each action turns; some steps restart the map, with another texture."""

    def __init__(self, length: int = 7, restart: int | None = None, size: int = SIZE, seed: int = 0) -> None:
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = spaces.Discrete(5)
        self.length, self.restart, self.first = length, restart, seed

    def _picture(self):
        return np.ascontiguousarray(np.roll(self.texture, 3 * self.turned, 1))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is None and not hasattr(self, "texture"):
            self.np_random, _ = gym.utils.seeding.np_random(self.first)
        self.texture = self.np_random.integers(0, 256, self.observation_space.shape, dtype=np.uint8)
        self.turned = self.steps = 0
        return self._picture(), {}

    def step(self, action):
        self.steps += 1
        self.turned += int(action)
        restarted = self.steps == self.restart
        if restarted:
            self.texture = 255 - self.texture
        return self._picture(), 1.0, False, self.steps == self.length, {"map_reset": restarted}


def spread(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model.eval()


@pytest.fixture(scope="module")
def model() -> VideoGPT:
    sizes = VIPER_PRESETS["debug"]
    return spread(VideoGPT(VideoGPTConfig(replace(sizes.vqvae, image_size=SIZE, down_space=16), sizes.prior)))


def flexlam(rows: int, factored: bool = False, **options: object) -> FlexLAMDensity:
    lam = spread(LAM(FLEXLAM["debug"].lam))
    kind, size = (FactoredPrior, SIZES["debug"]) if factored else (SequenceModel, FLEXLAM["debug"].sequence)
    sequence = kind(replace(size, slots=4, codes=lam.code_count))
    return FlexLAMDensity(lam, spread(sequence, 1), rows, **options)


def play(env, actions):
    """Frames, rewards and log-probabilities of an episode; the reset's frame has neither of the latter."""
    frames, rewards, logs = [env.reset(seed=0)[0]], [], []
    for action in actions:
        observation, reward, _, _, info = env.step(action)
        frames.append(observation)
        rewards.append(reward)
        logs.append(info["viper_log_prob"])
    return torch.from_numpy(np.stack(frames)).movedim(-1, 1), np.array(rewards), np.array(logs)


ACTIONS = [1, 0, 2, 4, 3, 1, 2]


@pytest.mark.parametrize("mode", ["conditional", "joint"])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_reward_is_the_models_likelihood_of_each_window(model, mode, stride):
    env = ViperReward(Wheel(), model, window=3, stride=stride, mode=mode)
    frames, rewards, logs = play(env, ACTIONS)
    assert np.array_equal(rewards, logs)
    for t in range(1, len(frames)):
        steps = [t - k * stride for k in range(3) if t - k * stride >= 0][::-1]
        steps = steps if len(steps) > 1 else [0, t]
        likely = model.log_prob(frames[steps][None])[0]
        expected = likely[-1] if mode == "conditional" else likely.sum() * 3 / len(steps)
        assert logs[t - 1] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("backend", "mode"), [("videogpt", "conditional"), ("flexlam", "joint"), ("factored", "joint")]
)
def test_a_recording_has_exactly_the_rewards_that_were_given(model, backend, mode):
    def density():
        if backend == "videogpt":
            return WindowDensity(model, 1, 3, mode=mode)
        return flexlam(1, backend == "factored", budget=2, mode=mode)

    env = ViperReward(Wheel(restart=4, size=SIZE if backend == "videogpt" else 64), density())
    first, _, one = play(env, ACTIONS)
    second, _, two = play(env, ACTIONS[::-1])
    begins = torch.zeros(16, 1, dtype=torch.bool)
    begins[[0, 4, 8, 12]] = True
    again = replay(density(), torch.cat([first, second])[:, None], begins)[:, 0].numpy()
    assert np.array_equal(np.delete(again, [0, 8]), np.concatenate([one, two]).astype(np.float32), equal_nan=True)
    assert np.isnan(one[3]) and np.isfinite(np.delete(one, 3)).all()


@pytest.mark.parametrize("backend", ["videogpt", "flexlam"])
def test_nothing_before_a_restart_or_an_end_is_seen_after_it(model, backend):
    size = 64 if backend == "flexlam" else SIZE
    make = (lambda: WindowDensity(model, 1)) if backend == "videogpt" else (lambda: flexlam(1, budget=2))
    frames = torch.randint(0, 256, (6, 1, 3, size, size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    begins = torch.tensor([[True], [False], [True], [False], [False], [False]])
    one = replay(make(), frames, begins)
    frames[:2] = 255 - frames[:2]
    two = replay(make(), frames, begins)
    assert torch.equal(one[3:], two[3:]) and one[1] != two[1] and bool(one[2].isnan())


@pytest.mark.parametrize("factored", [False, True])
def test_a_flexlam_budget_of_more_codes_adds_what_they_say(factored):
    frames = torch.randint(0, 256, (4, 1, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    densities = [flexlam(1, factored, budget=k) for k in (1, 3)]
    for t, now in enumerate(frames):
        if t:
            short, long = (density.score(now) for density in densities)
            assert torch.allclose(long.codes[:, :1], short.codes) and (long.codes < 0).all()
            assert torch.allclose(long.total, long.codes.sum(1))
        for density in densities:
            density.advance(now, torch.tensor([t == 0]))
    whole = flexlam(1, factored, budget=3, mode="joint")
    whole.advance(frames[0], torch.tensor([True]))
    first = whole.score(frames[1])
    assert torch.allclose(first.total, first.codes.sum(1) * (whole.window - 1))
    # what the sequence model itself says of the same window
    lam, sequence = densities[1].lam, densities[1].decoder.model
    codes = torch.stack([lam.encode(frames[i], frames[i + 1]) for i in range(3)], dim=1)
    with torch.no_grad():
        expected = -sequence.loss(frames[:3].movedim(0, 1), codes)[0, -1, :3]
    assert torch.allclose(expected, long.codes[0], atol=1e-3)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_batch_gives_each_environment_what_it_would_get_alone(model, mode):
    def made(i: int):
        return Wheel(length=3 + 2 * i, restart=2 if i else None, seed=i)

    batch = VectorViperReward(
        SyncVectorEnv([lambda i=i: made(i) for i in range(2)], autoreset_mode=mode), model, window=3
    )
    alone = [ViperReward(made(i), model, window=3) for i in range(2)]
    batch.reset(seed=[5, 6])
    for env, seed in zip(alone, (5, 6), strict=True):
        env.reset(seed=seed)
    over = np.zeros(2, np.bool_)
    for step in range(7):
        actions = np.array([step % 5, (2 * step) % 5])
        _, rewards, terminated, truncated, infos = batch.step(actions)
        for i, env in enumerate(alone):
            if mode is AutoresetMode.NEXT_STEP and over[i]:
                env.reset()
                assert rewards[i] == 0.0 and np.isnan(infos["viper_log_prob"][i])
                continue
            _, reward, _, cut, info = env.step(actions[i])
            assert rewards[i] == pytest.approx(reward, rel=1e-4) and cut == truncated[i]
            assert infos["viper_log_prob"][i] == pytest.approx(info["viper_log_prob"], rel=1e-4, nan_ok=True)
            if cut and mode is not AutoresetMode.NEXT_STEP:
                env.reset()
        over = terminated | truncated
        if mode is AutoresetMode.DISABLED and over.any():
            batch.reset(options={"reset_mask": over})


def test_gymnasium_accepts_the_wrapper_and_rewards_are_scaled_kept_and_masked(model):
    check_env(ViperReward(Wheel(), model), skip_render_check=True)
    _, _, logs = play(ViperReward(Wheel(), model), ACTIONS)
    _, scaled, _ = play(ViperReward(Wheel(), model, scale=(-20.0, -10.0), keep=0.5), ACTIONS)
    assert np.allclose(scaled, (logs + 20.0) / 10.0 + 0.5)
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[:16] = True
    frames, _, masked = play(ViperReward(Wheel(), model, mask=mask), ACTIONS)
    frames[:, :, :16] = 0
    again = replay(WindowDensity(model, 1), frames[:, None], torch.tensor([[True]] + [[False]] * 7))[1:, 0]
    assert np.allclose(masked, again.numpy()) and not np.allclose(masked, logs)


def test_the_task_changes_the_reward():
    sizes = VIPER_PRESETS["debug"]
    vqvae = replace(sizes.vqvae, image_size=SIZE, down_space=16)
    told = spread(VideoGPT(VideoGPTConfig(vqvae, replace(sizes.prior, tasks=("a", "b")))))
    frames, _, first = play(ViperReward(Wheel(), told, task="a"), ACTIONS)
    _, _, second = play(ViperReward(Wheel(), told, task="b"), ACTIONS)
    assert not np.allclose(first, second)
    expected = told.log_prob(frames[None, :2], Told(tasks=torch.tensor([1])))[0, 1]
    assert second[0] == pytest.approx(float(expected), rel=1e-4)
    with pytest.raises(ValueError, match="task is None; expected one of a, b"):
        ViperReward(Wheel(), told)


@pytest.mark.parametrize(("kind", "steps"), [(RandomNetworkDistillation, 15), (Disagreement, 50)])
def test_a_bonus_falls_with_what_is_seen_and_continues_from_a_saved_state(kind, steps, tmp_path):
    bonus = kind(seed=3, lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    known = torch.randint(0, 256, (4, 3, 64, 64), generator=generator, dtype=torch.uint8) // 8
    new = 255 - known
    before = [bonus.errors(to_unit(x), to_unit(x)) for x in (known, new)]
    for _ in range(steps):
        bonus.learn(known, known)
    after = [bonus.errors(to_unit(x), to_unit(x)) for x in (known, new)]
    assert (after[0] / before[0]).max() < 0.5 * (after[1] / before[1]).min()
    assert torch.allclose(bonus.bonus(known, known) / bonus.bonus(new, new), after[0] / after[1], rtol=1e-3)
    save_state(tmp_path / "state", {"bonus": bonus}, [bonus.optimizer], [], {"step": 10})
    other = kind(seed=4, lr=1e-3)
    load_state(tmp_path / "state", {"bonus": other}, [other.optimizer])
    for one in (bonus, other):
        one.learn(new, new)
    assert torch.equal(bonus.bonus(known, new), other.bonus(known, new))


def test_a_bonus_follows_recent_errors_so_that_it_does_not_fade():
    bonus = RandomNetworkDistillation()
    errors = torch.rand(64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(50):
        bonus._follow(errors)
    assert float(bonus.variance) == pytest.approx(float(errors.var(correction=0)), rel=1e-6)
    for _ in range(1500):
        bonus._follow(errors / 100)
    assert float(bonus.variance) ** 0.5 == pytest.approx(float(errors.std(correction=0)) / 100, rel=0.2)


def test_beta_weighs_a_bonus_that_learns_from_every_step_but_those_across_a_restart(model):
    seen: list[int] = []

    class Count:
        def bonus(self, before, frames):
            return torch.full((len(frames),), 3.0)

        def learn(self, before, frames):
            seen.append(len(frames))

    _, rewards, logs = play(ViperReward(Wheel(restart=4), model, beta=0.5, bonus=Count()), ACTIONS)
    assert np.allclose(np.delete(rewards, 3), np.delete(logs, 3) + 1.5) and rewards[3] == 0.0
    assert seen == [1, 1, 1, 0, 1, 1, 1]


def test_the_discriminator_learns_to_tell_the_agents_pairs_from_the_experts():
    generator = torch.Generator().manual_seed(0)
    size = 16
    expert = torch.randint(128, 256, (64, 2, 3, size, size), generator=generator, dtype=torch.uint8)
    imitation = AdversarialImitation(lambda count, draws: expert[:count], 8, size=size, batch=16, penalty=0.1, lr=1e-3)
    for step in range(60):
        frames = torch.randint(0, 128, (8, 3, size, size), generator=generator, dtype=torch.uint8)
        imitation.advance(frames, torch.full((8,), step == 0))
    agent = imitation.score(frames).total
    imitation.learns = False
    imitation.advance(expert[:8, 0], torch.ones(8, dtype=torch.bool))
    assert imitation.score(expert[:8, 1]).total.min() > agent.max() + 0.3


def test_the_discriminator_learns_from_no_pair_across_a_beginning():
    learned = []
    imitation = AdversarialImitation(lambda count, draws: torch.zeros(count, 2, 3, 16, 16), 4, size=16, batch=3)
    imitation.learn = lambda expert, agent: learned.append((len(expert), agent))
    first, second = torch.randint(0, 256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    imitation.advance(first, torch.ones(4, dtype=torch.bool))
    imitation.advance(second, torch.tensor([True, False, False, False]))
    ((count, agent),) = learned
    assert count == 3 and torch.equal(agent, torch.stack([first[1:], second[1:]], 1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 9}, "window"),
        ({"mode": "both"}, "mode is 'both'"),
        ({"task": "a"}, "told no task"),
        ({"beta": 1.0}, "no bonus is given"),
        ({"scale": (1.0, 0.0)}, "the lower one first"),
        ({"mask": np.zeros((2, 2), np.bool_)}, "mask has shape"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_a_sentence(model, options, said):
    with pytest.raises(ValueError, match=said):
        ViperReward(Wheel(), model, **options)


def test_models_that_cannot_score_frames_and_other_frames_are_refused(model):
    sizes = VIPER_PRESETS["debug"]
    clips = VideoGPT(VideoGPTConfig(replace(sizes.vqvae, per_frame=False, image_size=SIZE), sizes.prior))
    for given, said in ((object(), r"has no log_prob"), (clips, "trained with per_frame"), (flexlam(2), "2 rows")):
        with pytest.raises(ValueError, match=said):
            ViperReward(Wheel(), given)
    lam = LAM(FLEXLAM["debug"].lam)
    with pytest.raises(ValueError, match="the prior is a ContinuousPrior, which gives no likelihood of codes"):
        FlexLAMDensity(lam, ContinuousPrior(CONTINUOUS["debug"]), 1)
    with pytest.raises(ValueError, match="frames are 64x64; the model's are 32x32"):
        ViperReward(Wheel(size=64), model)
