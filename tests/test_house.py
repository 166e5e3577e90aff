"""The map of the package: imports run one way, without circles, and files stay short."""

import ast
import statistics
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import SimpleNamespace

import pytest

import flexlam_rl
from tests.conftest import LONG, pytest_collection_modifyitems

PACKAGE = Path(flexlam_rl.__file__).parent
# each room knows only those of lower floors, and itself
FLOORS = {
    "checkpoints": 0,
    "utils": 0,
    "envs": 1,
    "datasets": 2,
    "nn": 3,
    "train": 4,
    "models": 5,
    "agents": 6,
    "eval": 7,
    "commands": 8,
    "cli": 9,
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(name: str, path: Path) -> set[str]:
    """Modules of this package that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; code imports flexlam_rl.…"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {whole if whole in MODULES else str(node.module) for whole in names}
    return {target for target in found if target in MODULES and target != name}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Modules of this package that each module imports."""
    return {name: imported(name, path) for name, path in MODULES.items()}


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_every_room_is_on_the_map() -> None:
    assert {room(name) for name in MODULES} - {"", "__main__"} == set(FLOORS)


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in FLOORS])
def test_a_file_knows_only_rooms_below_it(name: str, imports: dict[str, set[str]]) -> None:
    above = {target for target in imports[name] if room(target) in FLOORS and FLOORS[room(target)] > FLOORS[room(name)]}
    assert not above, f"{name} imports {', '.join(sorted(above))}, which stand above it"


def test_no_two_files_import_each_other_in_a_circle(imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as circle:
        pytest.fail(f"circle of imports: {' -> '.join(circle.args[1])}")


@pytest.mark.parametrize("kept_out", ["torch", "stable_baselines3", "transformers"])
def test_environments_and_datasets_load_without_torch(kept_out: str) -> None:
    names = [name for name in MODULES if room(name) in ("utils", "envs", "datasets") and not name.endswith("__main__")]
    code = (
        f"import sys; sys.modules[{kept_out!r}] = None\nimport importlib\nfor name in {names!r}: "
        "importlib.import_module(name)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_files_are_short() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert max(lengths.values()) <= 400, max(lengths, key=lambda name: lengths[name])
    assert statistics.median(lengths.values()) < 120


def test_no_package_is_empty() -> None:
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            assert (
                any(other.startswith(f"{name}.") for other in MODULES)
                or len(path.read_text(encoding="utf-8").splitlines()) > 1
            ), name


def test_the_long_files_of_tests_are_there_and_begin_in_parallel_runs() -> None:
    tests = Path(__file__).parent
    assert [name for name in LONG if not (tests / name).is_file()] == []

    def item(name: str) -> SimpleNamespace:
        return SimpleNamespace(path=tests / name, get_closest_marker=lambda marker: None)

    names = ["agents/test_a.py", LONG[1], "utils/test_b.py", LONG[0]]
    for config, expected in (
        (SimpleNamespace(), names),
        (SimpleNamespace(workerinput={}), [LONG[0], LONG[1], "agents/test_a.py", "utils/test_b.py"]),
    ):
        items = [item(name) for name in names]
        pytest_collection_modifyitems(config, items)
        assert [one.path.relative_to(tests).as_posix() for one in items] == expected
