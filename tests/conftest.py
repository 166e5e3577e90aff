"""Shared by all tests: a bundle of random debug-size models, which play badly but like trained ones."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LONG = (
    "eval/suite/test_suite.py",
    "models/flexlam/test_recovery.py",
    "train/test_loop.py",
    "eval/lam/test_health.py",
    "models/flexlam/test_pipeline.py",
    "benchmarks/test_one_gpu.py",
    "agents/experts/test_pixel_kickstart.py",
    "agents/experts/test_pixel.py",
    "agents/test_any_space.py",
    "train/test_parallel.py",
    "eval/suite/test_running.py",
    "eval/test_tables.py",
    "eval/studies/test_alignment.py",
    "examples/test_ppo_latent_space.py",
    "eval/studies/test_matched.py",
    "eval/studies/test_ablations.py",
    "eval/lam/test_own_video.py",
    "cases/test_22_output.py",
    "test_vizdoom_end_to_end.py",
    "test_continuous_end_to_end.py",
    "test_docs.py",
)
"""Files that take 15 s and more, the longest first: started last, one would keep a single core busy at the end."""


@pytest.fixture(scope="session")
def make_bundle_folder() -> Callable[..., Path]:
    """make_bundle_folder(folder, seed=0, slots=4, fixed=None, half=False, conditioning=..., prior=...,
    quantizer=..., budget_head=False, **environment) writes a bundle of random models.
    """
    return write_random_bundle


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of random models for litelab, dreamer15."""
    return write_random_bundle(tmp_path_factory.mktemp("bundle") / "debug")


@pytest.fixture(scope="session")
def pixel_expert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pixel expert of random weights whose previous action and memory matter."""
    import torch

    from flexlam_rl.agents.experts.pixel.network import PixelConfig, PixelNetwork
    from flexlam_rl.envs.domain import find_domain
    from flexlam_rl.envs.spec import EnvSpec

    spec = find_domain("dmlab").resolve(EnvSpec())
    torch.manual_seed(0)
    network = PixelNetwork(PixelConfig(15, ("rooms_exploit_deferred_effects_train",), spec, 8, 4))
    with torch.no_grad():
        network.policy.weight *= 60
        network.previous.weight *= 3
    out = tmp_path_factory.mktemp("pixel")
    network.save_pretrained(out)
    return out


@pytest.fixture(scope="session")
def learned_expert_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of sb3-contrib's recurrent PPO, its policy `best` of random weights whose memory matters."""
    pytest.importorskip("sb3_contrib")
    import torch

    from flexlam_rl.agents.experts.pixel.recurrent import Network, save_policy

    network = Network("rooms_exploit_deferred_effects_train", lstm=8, features=8)
    torch.manual_seed(0)
    policy = network.build()
    with torch.no_grad():
        policy.action_net.weight *= 300  # which begins near 0, where every action is as likely
        policy.lstm_actor.weight_hh_l0 *= 8
    out = tmp_path_factory.mktemp("run")
    save_policy(out / "best", network, policy, {"steps": 32})
    return out


@pytest.fixture
def start_flexlam(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """start_flexlam("render", ...) starts the command in a process that heeds Ctrl-C, with its output in pipes.

    A process started in the background of a shell without a terminal ignores SIGINT, which a test may well be. `code`
    runs the command, with its arguments in sys.argv[1:].
    """
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    plain = "import sys; from flexlam_rl.cli import main; sys.exit(main(sys.argv[1:]))"

    def start(*arguments: str, code: str = plain) -> subprocess.Popen[str]:
        root = str(Path(__file__).resolve().parents[1])
        return subprocess.Popen(
            [sys.executable, "-c", heed + code, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def write_random_bundle(
    folder: Path,
    seed: int = 0,
    slots: int = 4,
    fixed: int | None = None,
    half: bool = False,
    conditioning: str = "slots+action",
    prior: str = "interleaved",
    quantizer: str = "fsq",
    budget_head: bool = False,
    **environment,
) -> Path:
    from dataclasses import replace

    import torch

    from flexlam_rl.agents.policy.bundle import BundleConfig, EnvironmentFacts, LabelFacts
    from flexlam_rl.agents.policy.bundling import write_bundle
    from flexlam_rl.envs.domains.dmlab.actions import action_set
    from flexlam_rl.envs.spec import ActionSpec
    from flexlam_rl.models.flexlam.adaptive.head import BudgetConfig, BudgetHead
    from flexlam_rl.models.flexlam.config import PRESETS, TranslatorConfig
    from flexlam_rl.models.flexlam.config import fixed as fixed_config
    from flexlam_rl.models.flexlam.continuous.config import SIZES as CONTINUOUS_SIZES
    from flexlam_rl.models.flexlam.factored.config import SIZES
    from flexlam_rl.models.flexlam.lam import LAM
    from flexlam_rl.models.flexlam.priors import CONTINUOUS, PRIORS, state_widths
    from flexlam_rl.models.flexlam.recurrent.config import SIZES as RECURRENT
    from flexlam_rl.models.flexlam.translator import Translator

    sizes = PRESETS["debug"]
    actions = action_set("dreamer15")
    sizes = replace(sizes, lam=replace(sizes.lam, quantizer=quantizer))
    config = replace(sizes.lam, slots=slots) if fixed is None else fixed_config(sizes.lam, fixed)
    torch.manual_seed(seed)
    lam = LAM(config)
    size = sizes.sequence if prior == "interleaved" else (RECURRENT if prior == "recurrent" else SIZES)["debug"]
    if prior in CONTINUOUS:
        size = replace(CONTINUOUS_SIZES["debug"], head="mixture" if prior == "mixture" else "flow")
    models = {
        "lam": lam,
        "sequence": PRIORS[prior].model(replace(size, slots=config.slots, codes=lam.latent.codes)),
        "translator": Translator(
            TranslatorConfig(
                slots=config.slots,
                code_dim=4,
                prefix=config.prefix,
                conditioning=conditioning,
                actions=ActionSpec((15,), 0, actions.name, actions.hash),
                hidden=16,
                wide=32,
                depth=2,
            )
        ),
    }
    if budget_head:
        widths = state_widths(models["sequence"])
        models["budget"] = BudgetHead(BudgetConfig(config.slots, lam.code_count, *widths, hidden=8))
    # far from initialisation, where every choice is nearly a tie and nothing depends on anything
    for model in models.values():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    if prior in CONTINUOUS and lam.latent.codes:
        models["sequence"].codebook.copy_(lam.quantizer.lookup(torch.arange(lam.latent.codes)))
    facts = {"action_set": actions.name, "action_hash": actions.hash, "frame_skip": 4, "width": 64, "height": 64}
    facts |= {"engine": "litelab", "textures": ("procedural",), "hud": "full"}
    pairs = torch.randint(1, 20, (16, 15)).tolist()
    training = {
        "steps": 0,
        "experts": ["none"],
        "levels": ["none"],
        "weights": "float16" if half else "float32",
        "date": "today",
        "revision": "",
    }
    record = BundleConfig(
        EnvironmentFacts(**(facts | environment)),
        LabelFacts("standard", 10, ("none",), tuple(map(tuple, pairs))),
        training=training,
    )
    write_bundle(folder, record, models, half)
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none; in one of several processes, begin with the long files."""
    if hasattr(config, "workerinput"):
        root = Path(__file__).parent
        places = {root / name: place for place, name in enumerate(LONG)}
        items.sort(key=lambda item: places.get(item.path, len(LONG)))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch finds none"))
