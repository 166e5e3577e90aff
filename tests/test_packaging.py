"""What an installed flexlam_rl brings along, and what it must leave alone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINKS = ("envs", "agents", "datasets", "train", "eval")
NOT_SHIPPED = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "results"
)


def _python(*arguments: str, cwd: Path, path: list[Path]) -> str:
    """Run a fresh Python whose `sys.path` begins with `path`; returns what it printed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the contents of the built wheel, as pip would put them into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=NOT_SHIPPED)
    built = _python(
        "-c", f"from setuptools import build_meta; print(build_meta.build_wheel({str(folder)!r}))", cwd=source, path=[]
    )
    site = folder / "site-packages"
    with zipfile.ZipFile(folder / built.splitlines()[-1]) as wheel:
        wheel.extractall(site)
    return site


def test_wheel_holds_flexlam_rl_alone(installed: Path) -> None:
    names = {entry.name for entry in installed.iterdir() if not entry.name.endswith(".dist-info")}
    assert names == {"flexlam_rl"}


def test_wheel_holds_every_module(installed: Path) -> None:
    def shipped(root: Path) -> set[str]:
        return {path.relative_to(root).as_posix() for path in (root / "flexlam_rl").rglob("*.py")}

    assert shipped(installed) == shipped(ROOT)
    assert (installed / "flexlam_rl" / "py.typed").is_file()
    metadata = next(installed.glob("*.dist-info"))
    assert "flexlam = flexlam_rl.cli:main" in (metadata / "entry_points.txt").read_text()
    assert any(path.name == "LICENSE" for path in metadata.rglob("*"))


def test_installed_package_works_beside_packages_of_the_same_names(installed: Path, tmp_path: Path) -> None:
    """Hugging Face's `datasets` is installed too, and the working folder has its own `envs`."""
    others = tmp_path / "others"
    (others / "datasets").mkdir(parents=True)
    (others / "datasets" / "__init__.py").write_text("load_dataset = 'the other library'\n")
    home = tmp_path / "home"
    (home / "envs").mkdir(parents=True)
    (home / "envs" / "__init__.py").write_text("mine = 'my own folder'\n")
    code = (
        "import flexlam_rl, datasets, envs, gymnasium as gym\n"
        "env = gym.make('FlexLAM-DMLab-v0', engine='litelab')\n"
        "frame = env.reset(seed=0)[0]\n"
        "print(flexlam_rl.__file__); print(datasets.load_dataset); print(envs.mine); print(frame.shape)\n"
    )
    where, other, mine, shape = _python("-c", code, cwd=home, path=[installed, others]).splitlines()[-4:]
    assert where == str(installed / "flexlam_rl" / "__init__.py")
    assert other == "the other library"
    assert mine == "my own folder"
    assert shape == "(64, 64, 3)"


@pytest.mark.parametrize("name", LINKS)
def test_link_at_the_root_leads_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / "flexlam_rl" / name


@pytest.mark.parametrize("name", LINKS)
def test_package_run_through_a_link_hides_no_other_library(name: str, tmp_path: Path) -> None:
    """`python -m eval.suite` puts the checkout first on sys.path, where its `datasets` would hide Hugging Face's."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("load_dataset = 'the other library'\n")
    code = (
        f"import sys, {name}\nsys.modules.pop('datasets', None)\nimport datasets, "
        "flexlam_rl.eval\nprint(datasets.load_dataset)"
    )
    assert _python("-c", code, cwd=ROOT, path=[tmp_path]).splitlines()[-1] == "the other library"


def test_import_is_light() -> None:
    """No torch, no numba: they load with the first environment, so that `import flexlam_rl` stays under 0.3 s."""
    code = (
        "import sys, flexlam_rl; print(sorted({'torch', 'numba', 'pyarrow', 'av', 'tyro', 'rich'} & set(sys.modules)))"
    )
    assert _python("-c", code, cwd=ROOT, path=[]) == "[]"
