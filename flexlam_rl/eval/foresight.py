"""`python -m eval.foresight --data VIDEO`: how well does a prior know what the expert will do, and what limits it?

It plays nothing and takes a minute, so it tells whether a longer training or another prior is worth playing. On
recorded episodes with actions, every row gives each decision's action distribution, before the decision is seen:

- the prior, through its first code: sum over all codes of their probability times what the translator reads from them
- the true codes: the translator on the transition that followed, which no prior can know
- with `--expert`, the pixel expert of the video itself, which knows what it draws from; and the same distribution
  read through the codes, about the best that a prior can do with this LAM and translator
"""

import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.options import tidy, whole

PRIOR, EXPERT, COMMONEST = "prior, first code", "expert", "commonest action"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure what a prior expects an expert to do, on recorded episodes."""

    data: Path
    """Folder of rollouts with discrete actions; their test split is used."""
    checkpoint: str | None = None
    """Folder of a training run, or folder or hub id of a bundle; by default the bundle that comes with the package."""
    expert: str | None = None
    """The pixel expert that played the video, as in `flexlam collect`: "pixel" or "pixel:FOLDER"."""
    temperature: float | None = None
    """The expert's temperature; by default the one that the rollouts record."""
    steps: int = 900
    """Decisions per task."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """JSON file to write."""

    def __post_init__(self) -> None:
        """Check the options."""
        tidy(self)
        whole(self, "steps", 1)
        if self.temperature is not None and not real(self.temperature, "temperature"):
            raise ValueError(
                "temperature is 0; expected more, as all actions but the likeliest would have no likelihood."
            )


def run(options: Options) -> int:
    """Measure, print a table, and write the file.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        StoreError: The data has no test split or no actions.
        ValueError: Prior, translator, actions or expert are of a kind that cannot be measured.
    """
    import torch

    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval import foresight_measures as measures
    from flexlam_rl.eval.lam.sides import checkpoint_name
    from flexlam_rl.utils.files import write_atomically

    lam, prior, translator = _models(options.checkpoint)
    rollouts = open_rollouts(options.data, split="test")
    _check(lam, prior, translator, rollouts)
    expert = _Expert(options, rollouts) if options.expert else None
    read_first, parts = measures.actions_of_first_codes(lam, translator), defaultdict[str, list[Any]](list)
    budgets = (1, lam.config.slots)
    for store in rollouts.stores:
        print(f"foresight: {store.level}", flush=True)
        for piece in measures.pieces(store, options.steps):
            codes = measures.encoded(lam, piece)
            rows = {PRIOR: measures.first_codes(prior, piece.frames, codes) @ read_first}
            rows |= {_true(k): measures.translated(lam, translator, codes, k) for k in budgets}
            if expert:
                rows[EXPERT] = measures.expert_actions(expert.network(store.level), piece, expert.temperature)
            for name, values in rows.items():
                parts[name].append(values[piece.counts])
            parts["actions"].append(piece.actions[piece.counts])
            parts["task"] += [store.level] * int(piece.counts.sum())
    if not parts["actions"]:
        raise ValueError(f"{options.data} has no decisions that an expert chose in its test split.")
    tasks, actions = parts.pop("task"), torch.cat(parts.pop("actions"))
    told = {name: torch.cat(values) for name, values in parts.items()}
    shares = torch.bincount(actions, minlength=read_first.shape[-1]).float() / len(actions)
    rows = {COMMONEST: shares.expand(len(actions), -1), PRIOR: told[PRIOR]}
    if expert:
        rows[EXPERT] = told[EXPERT]
        for k in budgets:
            rows[f"expert, read through {_codes(k)}"] = told[EXPERT] @ measures.channel(told[_true(k)], actions)
    rows |= {_true(k): told[_true(k)] for k in budgets}
    own = {task: torch.tensor([of == task for of in tasks]) for task in dict.fromkeys(tasks)}
    found: dict[str, Any] = {}
    for name, values in rows.items():
        by_task = {task: measures.figures(values[mask], actions[mask])["nll"] for task, mask in own.items()}
        found[name] = measures.figures(values, actions) | {"nll_by_task": by_task}
    print("| action told by | NLL, nats | accuracy | entropy, nats |\n|---|--:|--:|--:|")
    for name, row in found.items():
        print(f"| {name} | {row['nll']:.3f} | {row['accuracy']:.3f} | {row['entropy']:.3f} |")
    print(f"{len(actions):,} decisions of {len(own)} tasks.")
    if options.out:
        record = {
            "checkpoint": checkpoint_name(options.checkpoint),
            "data": {"split": "test", "digests": list(rollouts.digests)},
            "expert": options.expert,
            "temperature": expert.temperature if expert else None,
            "decisions": len(actions),
            "rows": found,
        }
        write_atomically(options.out, (json.dumps(record, indent=1) + "\n").encode())
    return 0


def _codes(budget: int) -> str:
    return "the first code" if budget == 1 else f"{budget} codes"


def _true(budget: int) -> str:
    return f"the transition, {_codes(budget)}"


class _Expert:
    """Networks of a pixel expert, by task, and its temperature."""

    def __init__(self, options: Options, rollouts: Any) -> None:
        from flexlam_rl.agents.experts.pixel.specialists import load_policies, player_of
        from flexlam_rl.agents.policy.compatibility import check_record
        from flexlam_rl.checkpoints import PIXEL_EXPERT

        kind, _, folder = str(options.expert).partition(":")
        if kind != "pixel":
            raise ValueError(
                f"expert is {options.expert!r}; expected 'pixel' or 'pixel:FOLDER', whose choices have likelihoods."
            )
        self._policies = [policy.eval() for policy in load_policies(folder or PIXEL_EXPERT)]
        check_record(self._policies[0].config.environment, rollouts.stores[0].spec)
        levels = list(dict.fromkeys(rollouts.levels))
        self._player = dict(zip(levels, player_of([p.config for p in self._policies], levels).tolist(), strict=True))
        recorded = rollouts.stores[0].origin.policy_params.get("temperature", 1.0)
        self.temperature = float(recorded if options.temperature is None else options.temperature)
        if not self.temperature:
            raise ValueError(
                f"{rollouts.stores[0].path} was played at temperature 0, where all actions but the likeliest have no "
                "likelihood; expected a --temperature above 0."
            )

    def network(self, level: str) -> Any:
        return self._policies[self._player[level]]


def _models(checkpoint: str | None) -> tuple[Any, Any, Any]:
    """Load the latent action model, prior and translator of a run or a bundle, frozen."""
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.eval.studies.trained_models import load_lam, load_model
    from flexlam_rl.models.flexlam.priors import load_prior
    from flexlam_rl.models.flexlam.translator import Translator
    from flexlam_rl.nn.pretrained import model_folder

    run = None if checkpoint is None else Path(checkpoint)
    if run is None or not run.is_dir():
        bundle = load_bundle(checkpoint)
        return bundle.lam, bundle.models["sequence"], bundle.translator
    folder = model_folder(run, "sequence")
    prior = None if folder in (None, run) else load_prior(folder).requires_grad_(False).eval()
    return load_lam(run), prior, load_model(Translator, run, "translator")


def _check(lam: Any, prior: Any, translator: Any, rollouts: Any) -> None:
    """Refuse what has no likelihoods of codes or of one discrete action."""
    from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
    from flexlam_rl.train.actions import action_spec

    if prior is None or isinstance(prior, ContinuousPrior):
        raise ValueError(
            f"The checkpoint's prior is {'missing' if prior is None else 'of slot vectors'}; expected one over codes."
        )
    if not lam.config.prefix:
        raise ValueError(
            f"The latent action model is a Fixed-K one of {lam.config.slots} slots; expected one whose first code "
            "alone is a latent action."
        )
    if translator.config.conditioning != "slots":
        raise ValueError(
            f"The translator sees {translator.config.conditioning}; expected one that sees codes alone ('slots')."
        )
    spec, read = action_spec(rollouts), translator.config.actions
    if spec != read or spec.continuous or len(spec.discrete) != 1:
        raise ValueError(
            f"The actions of {rollouts.stores[0].path} are {spec.name or 'unnamed'} {spec.discrete}; expected those of "
            f"the translator, {read.name or 'unnamed'} {read.discrete}, with one discrete choice."
        )


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.foresight"))
