"""Collections: complete, in order, the same however they are played, continued after any end."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.collection.collect import Job, collect
from flexlam_rl.agents.collection.schedule import Settings, episode_seeds
from flexlam_rl.agents.collection.workers import Processes
from flexlam_rl.agents.environments import make_single
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.cli import main
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.validate import validate
from flexlam_rl.datasets.writer import store_path
from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.utils.errors import StoreError

ROOT = Path(__file__).parents[3]
MAZE, ROOM, WORDS = (
    "explore_goal_locations_small",
    "rooms_exploit_deferred_effects_train",
    "language_execute_random_task",
)
SMALL = ["--frame-skip", "30", "--width", "16", "--height", "16", "--engine", "litelab"]
SETTINGS = Settings(spec=EnvSpec(frame_skip=30, width=16, height=16))


def run(out: Path, *options: str, level: tuple[str, ...] = (MAZE,), steps: int = 500) -> int:
    return main(["collect", "--out", str(out), "--steps", str(steps), "--tasks", *level, *SMALL, *options])


def digest(out: Path, level: str = MAZE, split: str = "train") -> str:
    return RolloutStore(store_path(out, level, split)).digest


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    assert run(out, level=(MAZE, ROOM, WORDS)) == 0
    return out


def test_everything_is_stored(whole: Path) -> None:
    for level in (MAZE, ROOM, WORDS):
        store = RolloutStore(store_path(whole, level, "train"))
        assert validate(store.path).good
        table = store.episode_table
        # the fewest whole episodes that make 500 steps, in the order of their numbers
        assert table["length"].sum() >= 500 > table["length"][:-1].sum()
        assert table["key"].tolist() == list(range(store.episodes))
        assert table["seed"].tolist() == episode_seeds(0, level, "train", range(store.episodes)).tolist()
        assert store.origin.policy == "scripted"
        assert store.origin.policy_params == {"temperature": 1.0}
        assert (store.origin.engine, store.origin.frame_skip, store.origin.action_set) == ("litelab", 30, "dreamer15")
        for episode in store.iter_episodes():
            assert episode.rows == episode.length + 1
            assert episode.terminated != episode.truncated
            assert episode.truncated or level == ROOM
            assert episode.action is not None and episode.action_native is not None
            assert (ACTION_SETS["dreamer15"].table[episode.action] == episode.action_native).all()
            texts = [episode.instruction] if isinstance(episode.instruction, str) else episode.instruction
            assert all(bool(text) == (level == WORDS) for text in texts)


def test_a_stored_episode_is_the_environments_own(whole: Path) -> None:
    for level in (MAZE, WORDS):
        episode = next(iter(RolloutStore(store_path(whole, level, "train")).iter_episodes()))
        env = DMLabEnv(level, "litelab", frame_skip=30, width=16, height=16, observations=("RGB_INTERLEAVED", "INSTR"))
        observation, _ = env.reset(options={"episode_seed": episode.seed})
        restarts = [False]
        assert episode.action is not None and episode.reward is not None and episode.restart is not None
        texts = [episode.instruction] * episode.rows if isinstance(episode.instruction, str) else episode.instruction
        for t, action in enumerate(episode.action):
            assert (observation["RGB_INTERLEAVED"] == episode.frames[t]).all(), t
            assert observation["INSTR"] == texts[t]
            observation, reward, terminated, truncated, info = env.step(action)
            assert reward == episode.reward[t]
            restarts.append(info["map_reset"])
        assert (observation["RGB_INTERLEAVED"] == episode.frames[-1]).all()
        assert restarts == episode.restart.tolist()
        assert (terminated, truncated) == (episode.terminated, episode.truncated)
        env.close()


def test_continued_in_parts_and_with_another_batch_it_is_the_same(whole: Path, tmp_path: Path) -> None:
    for level in (MAZE, ROOM):
        for steps, envs in ((1, 1), (200, 3), (500, 7)):
            assert run(tmp_path, "--num-envs", str(envs), level=(level,), steps=steps) == 0
        assert digest(tmp_path, level) == digest(whole, level)
        assert run(tmp_path, level=(level,)) == 0  # nothing is left to do
        assert digest(tmp_path, level) == digest(whole, level)


def test_processes_give_the_same_data(whole: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "--executor", "processes", "--workers", "1", "--num-envs", "2") == 0
    assert digest(tmp_path) == digest(whole)


def test_a_local_ray_gives_the_same_data(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert run(tmp_path, "--executor", "ray", "--workers", "1", "--num-envs", "2") == 0
    assert digest(tmp_path) == digest(whole)


def test_options_of_one_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--split", "test", "--no-actions", "--expert", "random", "--seed", "5", steps=100) == 0
    store = RolloutStore(store_path(tmp_path, MAZE, "test"))
    assert validate(store.path).good
    assert not store.with_actions
    assert (store.episode_table["seed"] % 2 == 1).all()
    assert (store.origin.policy, store.origin.seed) == ("random", 5)
    # the same folder takes no other data
    assert run(tmp_path, "--split", "test", "--no-actions", "--expert", "random", "--seed", "6", steps=300) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "seed 5" in said and "6" in said


def test_native_actions_and_any_object_that_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "walker.py").write_text(
        "import numpy as np\n"
        "class Walker:\n"
        "    def __init__(self, env): self.n = env.num_envs\n"
        "    def predict(self, observation, state=None, episode_start=None, deterministic=False):\n"
        "        state = np.where(episode_start, 0, 0 if state is None else state + 1)\n"
        "        actions = np.zeros((self.n, 7), np.int32)\n"
        "        actions[:, 0] = state % 100\n"
        "        return actions, state\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run(tmp_path / "out", "--expert", "walker:Walker", "--action-set", "native7") == 0
    for episode in RolloutStore(store_path(tmp_path / "out", MAZE, "train")).iter_episodes():
        assert episode.action_native is not None
        assert episode.action_native[:, 0].tolist() == [t % 100 for t in range(episode.length)]


@pytest.mark.parametrize("former", ["--level", "--levels"])
def test_tasks_under_their_former_name(former: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "--out", str(tmp_path), "--steps", "1", former, "explore_goal"]) == 2
    assert "Unknown level 'explore_goal'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["collect", "--help"])
    assert former not in capsys.readouterr().out


def test_a_collecting_policy_is_told_of_map_restarts_as_in_the_suite(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "teller.py").write_text(
        "from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert\n"
        "told = []\n"
        "class Teller(ScriptedExpert):\n"
        "    def begin_episodes(self, which, seeds): told.append(('begin', which.tolist()))\n"
        "    def map_restarted(self, which): told.append(('restart', which.tolist()))\n"
        "    def end_episodes(self, which): told.append(('end', which.tolist()))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import teller

    assert run(tmp_path / "out", "--expert", "teller:Teller", "--num-envs", "2") == 0
    assert digest(tmp_path / "out") == digest(whole)  # it plays as before
    marked = sum(int(e.restart.sum()) for e in RolloutStore(store_path(whole, MAZE, "train")).iter_episodes())
    counts = {
        what: sum(len(which) for name, which in teller.told if name == what) for what in ("begin", "restart", "end")
    }
    episodes = RolloutStore(store_path(whole, MAZE, "train")).episodes
    assert marked > 0 and counts["restart"] >= marked
    assert counts["begin"] == counts["end"] >= episodes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tasks", "explore_goal"], "Unknown level 'explore_goal'"),
        (["--tasks", MAZE, "--expert", "clever"], "Unknown expert 'clever'"),
        (["--tasks", MAZE, "--expert", "math:clever"], "has no 'clever'"),
        (["--tasks", MAZE, "--expert", "no_such_module:f"], "cannot be imported"),
        (["--tasks", MAZE, "--expert", "learned:nowhere"], "nowhere holds no learned expert"),
        (["--tasks", MAZE, "--action-set", "impala9"], "impala9"),
        (["--tasks", MAZE, "--steps", "0"], "steps must be at least 1, got 0"),
        (["--tasks", MAZE, "--num-envs", "0"], "num_envs must be at least 1, got 0"),
        (["--tasks", MAZE, "--seed", "-1"], "seed must be at least 0, got -1"),
        (["--tasks", MAZE, "--engine", "deepmind_lab"], "deepmind_lab"),
        (["--tasks", MAZE, "--width", "18"], "width must be a positive multiple of 4, got 18"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", "--out", str(tmp_path / "out"), "--steps", "10", *options]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said
    assert not list(tmp_path.glob("**/zarr.json"))


def test_a_store_of_other_making_is_refused(whole: Path, tmp_path: Path) -> None:
    from flexlam_rl.datasets.writer import RolloutWriter

    episode = next(iter(RolloutStore(store_path(whole, MAZE, "train")).iter_episodes()))
    episode.key = 3
    with RolloutWriter(tmp_path, MAZE, "train", SETTINGS.origin(MAZE)) as writer:
        writer.append_episode(episode)
    with pytest.raises(StoreError, match="not made by a collection"):
        collect(SETTINGS, Job([MAZE], "train", 500, tmp_path))


# Loads everything once, then forks a collection and kills it, again and again: so a kill costs no start of Python.
KILLER = """
import os, random, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import tensorstore
from flexlam_rl.agents.collection.collect import Job, collect
from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.collection.workers import play_here
from flexlam_rl.envs.spec import EnvSpec
levels, kills = sys.argv[3].split(","), int(sys.argv[4])
settings = Settings(spec=EnvSpec(frame_skip=30, width=16, height=16))
for level in levels:  # loads the compiled code; its threads end with it
    keys = iter([0])
    list(play_here(settings, level, "train", lambda: next(keys, None), 1, threads=1))
def start(steps):
    child = os.fork()
    if child == 0:
        try:
            collect(settings, Job(levels, "train", steps, Path(sys.argv[2]), num_envs=4))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child
source = random.Random(1)
steps, alive = 200, 0
for _ in range(kills):
    child = start(steps)
    time.sleep(source.uniform(0.0, 0.4))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        steps += 400  # it was done before: more work for the next
    else:
        alive += 1
child = start(steps)
_, status = os.waitpid(child, 0)
assert status == 0, status
print(steps, alive)
"""


def test_a_collection_killed_twenty_times_is_the_one_never_killed(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", KILLER, str(ROOT), str(tmp_path / "killed"), f"{MAZE},{ROOM}", "20"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    steps, alive = map(int, done.stdout.split())
    assert alive >= 5, "most runs ended before they were killed"
    collect(SETTINGS, Job([MAZE, ROOM], "train", steps, tmp_path / "whole", num_envs=4))
    for level in (MAZE, ROOM):
        assert validate(store_path(tmp_path / "killed", level, "train")).good
        assert digest(tmp_path / "killed", level) == digest(tmp_path / "whole", level)


def test_ctrl_c_stops_cleanly_and_the_command_continues(tmp_path: Path, start_flexlam) -> None:
    steps = 1_000_000  # far more than are played before the first commit, at which the signal comes
    process = start_flexlam(
        "collect", "--out", str(tmp_path), "--steps", str(steps), "--level", MAZE, *SMALL, "--num-envs", "2"
    )
    store = store_path(tmp_path, MAZE, "train")
    deadline = time.monotonic() + 300
    while not (store / "zarr.json").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "the same command continues" in said
    before = RolloutStore(store).episodes
    assert 0 < before * 180 < steps
    assert validate(store).good
    assert run(tmp_path, steps=(before + 3) * 180) == 0
    after = RolloutStore(store)
    assert after.episode_table["key"].tolist() == list(range(before + 3))
    assert np.array_equal(after.episode_table["seed"], episode_seeds(0, MAZE, "train", range(before + 3)))


def test_one_environment_plays_what_the_batch_plays(whole: Path) -> None:
    """A single environment, which the real engine needs, against the native batch."""
    store = RolloutStore(store_path(whole, WORDS, "train"))
    env = make_single(SETTINGS.spec, WORDS)
    policy = make_expert("scripted", env, 1.0, 0)
    starts = [Start(key, seed) for key, seed in enumerate(store.episode_table["seed"][:2].tolist())]
    for key, episode in play_episodes(env, policy, in_order(starts)):
        stored = store.episode_at(key)
        for name in ("frames", "action", "reward", "restart"):
            assert np.array_equal(getattr(episode, name), getattr(stored, name)), name
        assert list(episode.instruction) == list(stored.instruction)
        assert (episode.terminated, episode.truncated) == (stored.terminated, stored.truncated)
    env.close()


@pytest.fixture
def real_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for `deepmind_lab`, here and in processes, which replays recordings of it; and the folder for
    temporary files.
    """
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "envs"))
    import stand_in

    stand_in.install(monkeypatch, tmp_path)
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("FLEXLAM_CACHE_DIR", str(tmp_path / "cache"))
    return folder


REAL_LEVEL = "explore_obstructed_goals_small"


def collect_real(out: Path, steps: int, workers: int = 1, expert: str = "random") -> RolloutStore:
    options = {
        "--out": out,
        "--level": REAL_LEVEL,
        "--engine": "deepmind_lab",
        "--expert": expert,
        "--workers": workers,
        "--steps": steps,
    }
    assert main(["collect", *(str(text) for pair in options.items() for text in pair)]) == 0
    return RolloutStore(store_path(out, REAL_LEVEL, "train"))


def test_the_real_engine_plays_in_processes(
    tmp_path: Path, real_engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """However many processes play, and with a stop in between, the episodes are the same; nothing is left over and
    nothing printed.
    """
    first = collect_real(tmp_path / "out", 10)
    store = collect_real(tmp_path / "out", 2 * first.steps + 1)
    assert validate(store.path).good
    assert (first.episodes, store.episodes) == (1, 3)
    assert store.origin.engine == "deepmind_lab"
    assert store.episode_table["seed"].tolist() == episode_seeds(0, REAL_LEVEL, "train", range(3)).tolist()
    # the real engine shows nothing after the end
    assert (store.episode_table["rows"] == store.episode_table["length"]).all()
    at_once = collect_real(tmp_path / "at_once", store.steps)
    spread = collect_real(tmp_path / "spread", store.steps, workers=2)
    for other in (at_once, spread):
        for key in range(3):
            one, two = store.episode_at(key), other.episode_at(key)
            for name in ("frames", "action", "reward", "restart"):
                assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert [path.name for path in real_engine.iterdir() if "dmlab" in path.name] == []
    said = capfd.readouterr()
    assert "engine:" not in said.out + said.err


def test_a_killed_collection_leaves_no_folder_of_the_engine(tmp_path: Path, real_engine: Path) -> None:
    def folders() -> list[str]:
        return [path.name for path in real_engine.iterdir() if "dmlab" in path.name]

    code = "import sys; from flexlam_rl.cli import main; sys.exit(main(sys.argv[1:]))"
    given = [
        "--level",
        REAL_LEVEL,
        "--engine",
        "deepmind_lab",
        "--expert",
        "random",
        "--workers",
        "1",
        "--steps",
        "1000000",
    ]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-c", code, "collect", "--out", str(tmp_path / "out"), *given]
    with subprocess.Popen(command, env=env) as process:
        deadline = time.monotonic() + 120
        while not folders() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert folders()
        process.kill()
    while folders() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert folders() == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads which signals a process blocks from /proc")
def test_processes_that_are_still_starting_leave_ctrl_c_to_their_parent() -> None:
    workers = Processes(1)
    try:
        workers.submit()  # fails there, which is of no interest
        (pid,) = workers._pool._processes
        blocked = next(
            line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigBlk")
        )
        assert int(blocked.split()[1], 16) >> (signal.SIGINT - 1) & 1
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        workers.close()


def test_ray_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(tmp_path, "--executor", "ray") == 2
    assert "pip install 'flexlam_rl[ray]'" in capsys.readouterr().err
