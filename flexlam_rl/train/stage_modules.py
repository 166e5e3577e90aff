"""`python -m train.STAGE` and `python -m flexlam_rl.train.STAGE` for every registered stage, without a file for each.

Importing one of these modules gives its `main`. If version 0.1 had a module of that name with more in it, importing
gives its present counterpart.
"""

import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

from flexlam_rl.train.stages import STAGES
from flexlam_rl.utils import moved

# the package, and the link to it at the root of a checkout
PACKAGES = ("flexlam_rl.train", "train")
_SOURCE = """
from flexlam_rl.train import command

def main(arguments=None):
    return command.main({stage!r}, arguments, {prog!r})

if __name__ == "__main__":
    raise SystemExit(main())
"""


class _StageLoader(InspectLoader):
    """Loader of a module that trains a stage."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def get_source(self, fullname: str) -> str:
        """Source that `python -m` runs."""
        return _SOURCE.format(stage=self.stage, prog=f"python -m {fullname}")

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_source(fullname), f"<{fullname}>")

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def is_package(self, fullname: str) -> bool:
        return False


class _MovedStageLoader(_StageLoader):
    """Loader of a module that trains a stage and that, in version 0.1, also held the stage's classes."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.old = moved.Loader(f"train.{stage}")

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        moved.warn(spec.name, f"train.{self.stage}")
        return self.old.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.old.exec_module(module)


class _StageFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, stage = fullname.rpartition(".")
        if package not in PACKAGES or stage not in STAGES:
            return None
        kind = _MovedStageLoader if f"train.{stage}" in moved.MOVED else _StageLoader
        # Python puts this origin into sys.argv[0]
        return ModuleSpec(fullname, kind(stage), origin=str(Path(__file__).with_name("command.py")))


def install() -> None:
    """Make the modules of stages importable."""
    if not any(isinstance(finder, _StageFinder) for finder in sys.meta_path):
        # after the finders of files, before that of moved modules
        last = max((i for i, finder in enumerate(sys.meta_path) if isinstance(finder, moved.Finder)), default=None)
        sys.meta_path.insert(len(sys.meta_path) if last is None else last, _StageFinder())
