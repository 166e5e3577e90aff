"""What `make site` makes of the pages: links between `docs/` and the rest of the repository lead to the same files."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip("mkdocs")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "tools" / "site" / "pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("index.md", "docs/lam.md#stages", "lam.md#stages"),
        ("index.md", "CHANGELOG.md", "repository/CHANGELOG.md"),
        ("lam.md", "sequence.md", "sequence.md"),
        ("results.md", "../results/controls", "repository/results/controls/README.md"),
        ("lam.md", "../README.md", "index.md"),
        ("repository/results/controls/README.md", "../../docs/suite.md", "../../../suite.md"),
        ("lam.md", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_a_link_is_the_same_in_the_repository_and_on_the_site(
    pages: ModuleType, page: str, link: str, there: str
) -> None:
    source = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    assert pages.on_page_markdown(f"See [it]({link}).", source) == f"See [it]({there})."


def test_what_stands_in_code_is_no_link(pages: ModuleType) -> None:
    source = SimpleNamespace(file=SimpleNamespace(src_uri="lam.md"))
    text = "```python\nx[i](../README.md)\n```\n"
    assert pages.on_page_markdown(text, source) == text


def test_the_reference_has_each_public_module_once(pages: ModuleType) -> None:
    said = "\n".join(pages.reference(name, folder) for name, folder in pages.packages()).splitlines()
    modules = [line.removeprefix("::: ") for line in said if line.startswith("::: ")]
    assert len(modules) == len(set(modules))
    assert "flexlam_rl.agents.policy.latent_action" in modules
    assert not [name for name in modules if name.rpartition(".")[2].startswith("_")]
