"""Module names of version 0.1. Importing one, or running it with `python -m`, warns and uses today's module.

This keeps scripts working for one release that were written before the package was divided into rooms.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

# (old package, new package, modules that kept their names)
_KEPT_NAME = (
    ("", "utils", "command_line checkout"),
    ("", "envs", "errors registration"),
    ("agents", "agents.adapters", "tianshou"),
    ("agents", "agents.collection", "collect"),
    ("agents", "agents.experts", "registry"),
    ("agents", "agents.experts.pixel", "curve recipe training"),
    ("agents", "agents.policy", "bundle bundling cloning draws history random"),
    ("datasets", "datasets.formats", "minari mp4 parquet rl_unplugged teco"),
    ("datasets", "utils", "errors files"),
    ("envs", "agents.adapters", "sb3"),
    ("envs", "envs.domains.dmlab", "actions dm_view engines level_cache levels real_engine returns spaces vector"),
    ("eval", "eval.lam", "health prefix_sweep probe transfer transitions"),
    ("eval", "eval.studies", "ablations alignment alignment_report budgets"),
    ("eval", "eval.suite", "card compare plots progress results table videos"),
    ("eval", "utils", "number_lists tabular"),
    ("models", "models.baselines", "features idm"),
    ("models", "models.flexlam", "config decode decoder encoder lam layout sequence translator"),
    ("models", "nn", "fused prefix"),
    ("train", "models.flexlam", "pipeline recipes sheets"),
    ("train", "models.flexlam.stages", "lam sequence translator"),
)
_RENAMED = {
    "agents.base": "envs.base",
    "agents.fit": "agents.policy.compatibility",
    "agents.learned": "agents.experts.pixel.recurrent",
    "agents.plan": "agents.collection.schedule",
    "agents.play": "agents.rollout",
    "agents.policies": "agents.policy.registry",
    "agents.previous": "agents.policy.previous_action",
    "agents.scripted": "agents.experts.scripted",
    "agents.tensordicts": "agents.adapters.torchrl",
    "agents.work": "agents.collection.workers",
    "commands.progress": "utils.progress",
    "envs.dmlab": "envs.domains.dmlab.env",
    "eval.health_page": "eval.lam.health_report",
    "eval.images": "eval.video.pixels",
    "eval.measures": "eval.lam.metrics",
    "eval.runs": "eval.studies.trained_models",
    "eval.signs": "eval.lam.failure_checks",
    "eval.stats": "eval.suite.statistics",
    "eval.waves": "eval.suite.batches",
    "models.blocks": "nn.transformer",
    "models.checkpoint": "nn.pretrained",
    "models.stem": "nn.conv_stem",
    "train.controls": "models.baselines.control_stage",
    "train.loop": "train.trainer",
    "viewing": "utils.pictures",
}
MOVED: dict[str, str] = _RENAMED | {
    f"{old}.{name}".lstrip("."): f"{new}.{name}" for old, new, names in _KEPT_NAME for name in names.split()
}
# a checkout has links of these names at its root: `python -m eval.compare`
_LINKS = ("agents", "datasets", "envs", "eval", "train")


class Loader(InspectLoader):
    """Loads today's module under an old name, which is a key of `MOVED`."""

    def __init__(self, old: str) -> None:
        self.new = MOVED[old]
        self.spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"flexlam_rl.{self.new}")
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has replaced it by the old name's

    def get_source(self, fullname: str) -> str:
        """Source that `python -m` runs under the old name."""
        return f"import runpy\nrunpy.run_module('flexlam_rl.{self.new}', run_name='__main__', alter_sys=True)\n"

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_source(fullname), f"<{fullname}>")

    def is_package(self, fullname: str) -> bool:
        return False


def warn(fullname: str, old: str) -> None:
    """Warn the importing code that a module has moved."""
    warnings.warn(f"{fullname} has moved: import flexlam_rl.{MOVED[old]}.", DeprecationWarning, stacklevel=3)


class Finder(MetaPathFinder):
    """Finds modules under their old names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        old = fullname if package in _LINKS else rest if package == "flexlam_rl" else ""
        if old not in MOVED:
            return None
        warn(fullname, old)
        return ModuleSpec(fullname, Loader(old))


def install() -> None:
    """Make the old names importable; the package calls this once, when it is imported."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())
