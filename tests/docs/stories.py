"""How the commands of each page are run at a small size, and which are not run and why.

A page is a story: its commands run one after the other in one folder, as a reader would give them, where what `given`
names has been prepared. `SMALL` and `NOT_RUN` hold for all pages; a page adds what it needs.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

LEVEL = "rooms_exploit_deferred_effects_train"
"""The level with the shortest episodes."""

Options = Mapping[str, str]

SMALL: dict[str, Options] = {
    r"flexlam collect (?!.*--domain)": {"--tasks": LEVEL, "--steps": "60"},
    r"flexlam collect .*--domain": {"--steps": "60"},
    r"flexlam train|python -m train\.": {"--preset": "debug", "--steps": "2"},
    r".*--label-count|flexlam train (--|translator|idm|bc|controls)|python -m train\.translator": {
        "--label-count": "30"
    },
    r"flexlam suite (?!.*--domain)|python -m eval\.suite": {"--tasks": LEVEL, "--episodes": "1", "--no-plots": ""},
    r"flexlam suite .*--domain": {"--episodes": "1", "--no-plots": ""},
    r"flexlam demo": {"--seconds": "1"},
    r"flexlam health": {"--transitions": "48"},
    r"flexlam expert score (?!.*--domain)": {"--episodes": "1", "--tasks": LEVEL},
    r"flexlam expert score .*--domain": {"--episodes": "1"},
    r"flexlam study": {"--dry-run": ""},
    r"flexlam render": {"--steps": "20", "--size": "64"},
    r"python -m eval\.lam\.prefix_sweep": {"--count": "2", "--measured": "8", "--steps": "2"},
}
"""Options that make a command small, in place of the page's, for commands that a pattern matches from their start."""

NOT_RUN: dict[str, str] = {
    r"make ": "continuous integration runs it",
    r"pip |python -m pip |tools/offline_wheels": "needs the network",
    r"torchrun ": "needs several GPUs",
    r"pytest |python -m pytest ": "the tests are not run within a test",
    r"flexlam play": "needs a keyboard and a window",
    r"flexlam watch": "serves until Ctrl-C; tests/eval/watch serves it",
    r".*--engine deepmind_lab|.*import deepmind_lab": "needs the real engine",
    r".*--executor ray": "needs a cluster",
    r"python (-m )?benchmarks": "tests/benchmarks runs the benchmarks at their smallest size",
    r"flexlam expert train": "takes hours; tests/agents/experts trains small ones",
    r"tools/train_": "takes hours; its commands are parsed in tests/docs/test_shell_blocks.py",
    r"flexlam finetune": "takes hours; tests/agents/finetune runs it at a small size",
    r"flexlam data import (?!video)": "needs files of that format; tests/datasets/formats imports some of each",
    r"flexlam audit": "takes minutes; tests/eval/lam/test_audit.py runs it at a small size",
}
"""Patterns of commands that are not run, and why."""


@dataclass(frozen=True)
class Story:
    """What a page needs beside `SMALL` and `NOT_RUN`."""

    given: Mapping[str, str] = field(default_factory=dict)
    """What is prepared (`rollouts`, `run`, `policy`), by the name that it has on the page."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Words of the page, and what takes their place."""
    small: Mapping[str, Options] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)


SLOTS = {"16": "4", "1,4,16": "1,4"}
"""Budgets of a model of debug size."""
DIR, LAM = {"DIR": "rollouts"}, {"DIR": "rollouts", "RUN": "lam"}
ALTERNATIVE = "stands for the command before it, which has filled the folder"

STORIES: dict[str, Story] = {
    "README.md": Story(words=SLOTS),
    "docs/tutorial.md": Story(
        words={**SLOTS, "budget=16": "budget=4"},
        small={r"python -m eval\.lam\.prefix_sweep": {"--levels": LEVEL}},
    ),
    "docs/health.md": Story({"DIR": "rollouts", "RUN": "run"}),
    "docs/lam.md": Story(
        DIR,
        not_run={
            r"python -m train\.lam .*--out RUN$": "finished by the command before it",
            r".*RUN0": "needs a run that was interrupted; tests/train/test_init.py begins at such a step",
        },
    ),
    "docs/lamo.md": Story(
        DIR, SLOTS, {"flexlam study lamo": {"--clips": "8"}}, not_run={r".*--quantizer gaussian": ALTERNATIVE}
    ),
    "docs/policy.md": Story({"rollouts": "rollouts"}, small={"flexlam suite": {"--budget": "4"}}),
    "docs/sequence.md": Story(LAM, not_run={".*--prior factored": ALTERNATIVE}),
    "docs/suite.md": Story(
        {"policy": "policy", "results/other": "suite"}, SLOTS, small={r"flexlam suite --budget 16": {"--budget": "1"}}
    ),
    "docs/two-engines.md": Story(),
    "docs/translator.md": Story(LAM, not_run={".*--labels narrow": ALTERNATIVE}),
    "flexlam_rl/models/baselines/README.md": Story(LAM),
    "flexlam_rl/models/flexlam/README.md": Story(DIR, not_run={"flexlam train lam .*--out RUN$": "finished by then"}),
    "flexlam_rl/models/lamo/README.md": Story(DIR),
    "flexlam_rl/models/reward_head/README.md": Story(DIR),
    "flexlam_rl/models/videogpt/README.md": Story({"DIR": "rollouts", "LAM": "lam"}),
}
"""Pages whose commands run by `make docs-check`; the tutorial's in every test run."""

TESTED_ELSEWHERE: dict[str, tuple[str, ...]] = {
    "docs/add-a-dataset.md": ("tests/datasets/test_guide.py",),
    "docs/add-a-world.md": ("tests/test_add_a_world.py",),
    "docs/alignment.md": ("tests/eval/studies/test_alignment.py", "tests/eval/studies/test_alignment_methods.py"),
    "docs/audit.md": ("tests/eval/lam/test_audit.py",),
    "docs/budgets.md": ("tests/eval/lam/test_budgets.py", "tests/eval/studies/test_tokens.py"),
    "docs/continuous-actions.md": ("tests/test_continuous_end_to_end.py",),
    "docs/data.md": ("tests/cases/test_data_commands.py", "tests/datasets/formats/test_exchange_command.py"),
    "docs/elastic.md": ("tests/eval/studies/test_elastic.py", "tests/models/elastictok/test_stages.py"),
    "docs/experts.md": ("tests/agents/collection/test_collect.py", "tests/agents/experts/test_pixel_resume.py"),
    "docs/finetune.md": ("tests/agents/finetune/test_rivals.py", "tests/eval/studies/test_finetune.py"),
    "docs/imagined.md": ("tests/agents/planning/test_planning.py", "tests/eval/studies/test_consistency.py"),
    "docs/imitability.md": ("tests/eval/studies/test_imitability.py",),
    "docs/matched.md": ("tests/eval/studies/test_matched.py",),
    "docs/one-gpu.md": ("tests/benchmarks/test_one_gpu.py",),
    "docs/own-video.md": ("tests/eval/lam/test_own_video.py",),
    "docs/parity.md": ("tests/parity/test_traces.py",),
    "docs/real-dmlab.md": ("tests/eval/suite/test_suite_real.py",),
    "docs/two-worlds.md": ("tests/eval/lam/test_transfer.py", "tests/eval/test_tables.py"),
    "docs/video.md": (
        "tests/models/videogpt/test_stages.py",
        *(f"tests/eval/studies/test_{name}.py" for name in ("consistency", "reward", "videogpt", "viper")),
    ),
    "docs/vizdoom.md": ("tests/test_vizdoom_end_to_end.py",),
    "docs/world-models.md": ("tests/models/teco/test_stages.py", "tests/eval/studies/test_consistency.py"),
    "flexlam_rl/checkpoints/pixel-expert/README.md": ("tests/agents/experts/test_pixel_resume.py",),
    "flexlam_rl/models/elastictok/README.md": ("tests/models/elastictok/test_stages.py",),
    "flexlam_rl/models/teco/README.md": ("tests/models/teco/test_stages.py",),
    "results/ablations/README.md": ("tests/eval/studies/test_ablations.py",),
    "results/audit/README.md": ("tests/eval/lam/test_audit.py", "tests/models/baselines/test_lam_stages.py"),
    "results/budgets/README.md": (
        "tests/eval/lam/test_budgets.py",
        "tests/models/flexlam/adaptive/test_budget_stage.py",
        "tests/eval/studies/test_tokens.py",
    ),
    "results/experts-reactive/README.md": ("tests/agents/experts/test_scores.py",),
    "results/finetune/README.md": ("tests/eval/studies/test_finetune.py",),
    "results/matched/README.md": ("tests/eval/studies/test_matched.py",),
    "results/priors/README.md": ("tests/eval/studies/test_priors.py",),
    "results/one-gpu/README.md": ("tests/benchmarks/test_one_gpu.py",),
    "results/teco/README.md": ("tests/eval/studies/test_teco.py", "tests/eval/studies/test_consistency.py"),
}
"""Pages whose commands take hours or need what a test makes; these tests run them small, with other options."""

SAME_AS_THE_TUTORIAL = ("docs/results.md", "results/controls/README.md", "results/translator-in-play/README.md")
"""Pages that give the tutorial's commands once more, with the options of a run of hours."""


def small(words: tuple[str, ...], story: Story) -> list[str] | None:
    """The command at its small size; None where it is not run."""
    text = shlex.join(words)
    if any(re.match(pattern, text) for pattern in (*NOT_RUN, *story.not_run)):
        return None
    out = [story.words.get(word, word) for word in words]
    for pattern, options in (*SMALL.items(), *story.small.items()):
        if re.match(pattern, text):
            for name, value in options.items():
                out = [*_without(out, name), name, *value.split()]
    return out


def _without(words: list[str], option: str) -> list[str]:
    """The words without an option and its values."""
    if option not in words:
        return words
    at = words.index(option)
    end = next((i for i in range(at + 1, len(words)) if words[i].startswith("-")), len(words))
    return words[:at] + words[end:]
