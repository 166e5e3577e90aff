"""`flexlam data budgets DIR`: search the smallest sufficient number of codes of every transition, and store it."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from flexlam_rl.utils.progress import lasting_bar


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """Search k*, the smallest number of codes of each transition that is good enough, store it beside the rollouts, and
    show what it correlates with. The same command continues a stopped one.
    """

    folder: tyro.conf.Positional[Path]
    """Folder of a collection, or of one store in it."""
    run: Path | None = None
    """Folder of a training run or of a bundle, whose latent action model and translator are used; by default the bundle
    that comes with the package.
    """
    translator_run: Path | None = None
    """Folder of the run to take the translator from instead."""
    objective: Literal["agreement", "flow", "picture"] = "agreement"
    """Objective that must be good enough: the translator's action equals that of the whole block, the flow loss, or the
    predicted frame.
    """
    tolerance: float = 0.1
    """Largest cost that is good enough."""
    how: Literal["full", "binned", "binary"] = "full"
    """How to search: evaluate every length, or 100 of them, or bisect the range, which takes the fewest evaluations and
    assumes that costs fall as prefixes grow.
    """
    level: tuple[str, ...] = ()
    """Only these levels."""
    split: str | None = None
    """Only this split."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """Folder for budgets.json, histograms and pictures; None to print only the table."""
    looked_at: int = 2000
    """Number of transitions per store that are compared with their frames and actions."""
    examples: int = 6
    """Number of transitions with the lowest, and with the highest k* that are drawn."""
    watch: int = 0
    """Number of further episodes of the scripted expert per level on litelab, where it is known what happens."""
    device: str = "cpu"
    """torch device."""


def run(options: Budgets) -> int:
    """Search, and print the results.

    Raises:
        ValueError: An option is out of range, or the models cannot give the objective.
        CheckpointError: There are no such models.
    """
    from flexlam_rl.agents.policy.bundle import folder_of
    from flexlam_rl.datasets import Rollouts
    from flexlam_rl.datasets.store import RolloutStore, find_stores
    from flexlam_rl.eval.lam.budgets.figures import summary
    from flexlam_rl.eval.lam.budgets.report import line, write_report
    from flexlam_rl.eval.lam.budgets.stored import joined, shown
    from flexlam_rl.eval.lam.budgets.watched import watched
    from flexlam_rl.eval.studies.trained_models import load_lam, load_model
    from flexlam_rl.models.flexlam.adaptive.choosing import need_prefixes
    from flexlam_rl.models.flexlam.adaptive.objectives import objective_named
    from flexlam_rl.models.flexlam.adaptive.stored import searched, searched_rows, stored_budgets
    from flexlam_rl.models.flexlam.translator import Translator
    from flexlam_rl.nn.pretrained import model_digest, model_folder
    from flexlam_rl.utils.numbers import whole

    for name, low in (("looked_at", 1), ("examples", 1), ("watch", 0)):
        whole(getattr(options, name), name, low)
    if not options.folder.is_dir():
        raise ValueError(f"{options.folder} is no folder: expected a collection of rollouts.")
    models = options.run or folder_of(None)
    lam, asks = load_lam(models, options.device), options.objective == "agreement"
    place = options.translator_run or models
    translator = load_model(Translator, place, "translator", options.device) if asks else None
    need_prefixes(lam, "there is nothing to search")
    folders = [model_folder(models, "lam"), model_folder(place, "translator") if asks else None]
    digests = [None if folder is None else model_digest(folder) for folder in folders]
    what = searched(str(digests[0]), options.objective, options.tolerance, digests[1], options.how)
    stores = [RolloutStore(path) for path in find_stores(options.folder, options.level or None, options.split)]
    figures: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    for store in stores:
        title = f"{store.level}/{store.split}"
        if title in seen:  # several collections of the same levels
            title = f"{store.path.resolve().parents[1].name}/{title}"
        with lasting_bar(title) as progress:
            (found,) = stored_budgets(lam, what, Rollouts([store]), translator, options.device, progress)
        if not found[:, 0].any():
            print(f"{title}: no transitions.")
            continue
        seen[title] = shown(store, found, options.looked_at)
        part = seen[title]
        figures[title] = summary(part.found, lam.config.slots, part.features, part.events)
        # counts cover all transitions; figures that need frames cover those that were read
        figures[title] |= summary(found[found[:, 0] > 0], lam.config.slots, {}, {}) | {
            name: figures[title][name] for name in ("correlation", "events")
        }
        print(line(title, figures[title]), flush=True)
    if options.watch:
        objective = objective_named(options.objective, translator)
        search = partial(searched_rows, lam, objective, translator, options.how, what.tolerance)
        for store in {store.level: store for store in stores}.values():
            title = f"{store.level}/watched"
            seeds = range(options.watch)
            seen[title] = part = joined([watched(store.spec, store.level, i, options.looked_at, search) for i in seeds])
            figures[title] = summary(part.found, lam.config.slots, part.features, part.events)
            print(line(title, figures[title]), flush=True)
    if options.out is not None:
        about = {"searched": asdict(what), "slots": lam.config.slots, "stores": [store.digest for store in stores]}
        write_report(options.out, about, figures, seen, options.examples)
        print(f"{options.out}: budgets.json, histograms and pictures.")
    return 0
