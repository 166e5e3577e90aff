"""Baselines and controls that FlexLAM is compared with. See README.md beside this file."""

from flexlam_rl.models.systems import System

_HERE = "flexlam_rl.models.baselines"
SYSTEM = System(
    "models from frames to actions without a bottleneck, and latent action models of other papers",
    {
        "IDM": f"{_HERE}.idm",
        "BehaviourCloning": f"{_HERE}.idm",
        "FeatureTranslator": f"{_HERE}.features",
        "ForwardLAM": f"{_HERE}.forward_lam",
        "LAOM": f"{_HERE}.laom",
    },
)
