"""Add to the site what lies outside `docs/`: the README as its home page, the files that pages link to, and the
reference.

MkDocs calls the functions `on_*`. A page outside `docs/` keeps its path below `repository/`, and links between the two
places are rewritten, so that the same link works in the repository and on the site.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
OUTSIDE = "repository"
HOME = "index.md"
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_FENCE = re.compile(r"^(```.*?^```\s*?$)", re.MULTILINE | re.DOTALL)


def packages() -> list[tuple[str, Path]]:
    """Return every folder of the package with its dotted name, in the order of the rooms."""
    found = sorted(path.parent for path in (ROOT / "flexlam_rl").rglob("__init__.py"))
    return [(".".join(folder.relative_to(ROOT).parts), folder) for folder in found]


def reference(name: str, folder: Path) -> str:
    """Write the reference page of a folder, with its public modules."""
    modules = sorted(path.stem for path in folder.glob("[!_]*.py"))
    blocks = [f"::: {name}.{module}" for module in modules] or [f"::: {name}"]
    return "\n\n".join([f"# {name}", *blocks]) + "\n"


def on_config(config: Any) -> Any:
    """Add the reference, one page per folder, to the end of the navigation."""
    rooms: dict[str, list[Any]] = {}
    for name, _ in packages():
        parts = name.split(".")
        room = parts[1] if len(parts) > 1 else parts[0]
        rooms.setdefault(room, []).append({name.removeprefix("flexlam_rl."): f"reference/{name}.md"})
    config.nav.append({"Reference": [{room: pages} for room, pages in rooms.items()]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the home page, the reference, and every file outside `docs/` that a page links to."""
    files.append(File.generated(config, HOME, abs_src_path=str(ROOT / "README.md")))
    for name, folder in packages():
        files.append(File.generated(config, f"reference/{name}.md", content=reference(name, folder)))
    waiting = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    added: set[str] = {HOME}
    while waiting:
        page = waiting.pop()
        for target in _targets(page):
            where = _on_site(target)
            if where in added or not target.exists() or _inside(target, ROOT / "docs"):
                continue
            added.add(where)
            if target.is_dir():
                files.append(File.generated(config, where, content=_listing(target)))
                waiting += [target / "README.md"] if (target / "README.md").exists() else []
            else:
                files.append(File.generated(config, where, abs_src_path=str(target)))
                waiting += [target] if target.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links to where their targets are on the site."""
    here = PurePosixPath(page.file.src_uri).parent
    source = _in_repository(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = _target(source, link[2])
        if target is None or not target.exists():
            return link[0]
        return f"{link[1]}{os.path.relpath(_on_site(target), here)}{link[3]}"

    return "".join(part if part.startswith("```") else _LINK.sub(moved, part) for part in _FENCE.split(markdown))


def _targets(page: Path) -> list[Path]:
    found = (_target(page, link[2]) for link in _LINK.finditer(_FENCE.sub("", page.read_text())))
    return [target for target in found if target is not None]


def _target(page: Path, link: str) -> Path | None:
    """Return the file or folder of the repository that a link leads to; None for an address."""
    if "://" in link or link.startswith(("mailto:", "/")):
        return None
    target = Path(os.path.normpath(page.parent / link))
    return target if _inside(target, ROOT) else None


def _inside(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _on_site(target: Path) -> str:
    """Return the path of a file of the repository among the site's sources; a folder is a page of its own."""
    if target == ROOT / "README.md":
        return HOME
    if _inside(target, ROOT / "docs"):
        return target.relative_to(ROOT / "docs").as_posix()
    name = target.relative_to(ROOT).as_posix()
    return f"{OUTSIDE}/{name}/README.md" if target.is_dir() else f"{OUTSIDE}/{name}"


def _in_repository(where: str) -> Path:
    """Return the file of the repository that a source of the site comes from."""
    if where == HOME:
        return ROOT / "README.md"
    if where.startswith(f"{OUTSIDE}/"):
        return ROOT / where.removeprefix(f"{OUTSIDE}/")
    return ROOT / "docs" / where


def _listing(folder: Path) -> str:
    """Return the folder's README, or a list of its files."""
    if (folder / "README.md").exists():
        return (folder / "README.md").read_text()
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    return "\n".join([f"# {folder.relative_to(ROOT)}", "", *(f"- {name}" for name in names)]) + "\n"
