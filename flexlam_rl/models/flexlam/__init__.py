"""FlexLAM: latent actions of variable length. See README.md beside this file."""

from flexlam_rl.models.systems import System

_HERE = "flexlam_rl.models.flexlam"
SYSTEM = System(
    "latent actions of variable length, a prior over them, and a translator to real actions",
    {
        "LAM": f"{_HERE}.lam",
        "SequenceModel": f"{_HERE}.sequence",
        "FactoredPrior": f"{_HERE}.factored.model",
        "RecurrentPrior": f"{_HERE}.recurrent.model",
        "ContinuousPrior": f"{_HERE}.continuous.model",
        "Translator": f"{_HERE}.translator",
        "BudgetHead": f"{_HERE}.adaptive.head",
    },
)
