"""Studies by name: `flexlam study NAME`. Another package adds one with an entry point in `flexlam_rl.studies`."""

from flexlam_rl.eval.studies.study import StudyDefinition
from flexlam_rl.utils.registry import Registry

STUDIES: Registry[StudyDefinition] = Registry(
    "study",
    {
        name: f"flexlam_rl.eval.studies.{name}:STUDY"
        for name in (
            *("alignment", "ablations", "matched", "imitability"),
            *("reward", "viper", "elastic", "consistency", "lamo", "priors", "finetune", "teco", "videogpt"),
        )
    }
    | {"budgets": "flexlam_rl.eval.studies.tokens.study:STUDY"},
    group="flexlam_rl.studies",
)
