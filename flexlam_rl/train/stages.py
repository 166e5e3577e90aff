"""`STAGES`: all stages that can be trained, by name.

`flexlam train NAME` and `python -m train.NAME` train the stages that are registered here. Another package adds a stage
with an entry point of the group `flexlam_rl.stages` that points to a `StageDefinition` (`flexlam_rl.train.definition`).
"""

from typing import TYPE_CHECKING, Any

from flexlam_rl.utils.registry import Registry

if TYPE_CHECKING:
    from flexlam_rl.train.definition import StageDefinition

STAGES: "Registry[StageDefinition[Any]]" = Registry(
    "stage",
    {
        "lam": "flexlam_rl.models.flexlam.stages.definitions:LAM_STAGE",
        "sequence": "flexlam_rl.models.flexlam.stages.definitions:SEQUENCE_STAGE",
        "translator": "flexlam_rl.models.flexlam.stages.definitions:TRANSLATOR_STAGE",
        "joint": "flexlam_rl.models.flexlam.stages.definitions:JOINT_STAGE",
        "budget": "flexlam_rl.models.flexlam.adaptive.definition:BUDGET_STAGE",
        "idm": "flexlam_rl.models.baselines.stages:IDM_STAGE",
        "bc": "flexlam_rl.models.baselines.stages:BC_STAGE",
        "features": "flexlam_rl.models.baselines.stages:FEATURES_STAGE",
        "lapo": "flexlam_rl.models.baselines.lam_stages:LAPO_STAGE",
        "laom": "flexlam_rl.models.baselines.lam_stages:LAOM_STAGE",
        "adaworld": "flexlam_rl.models.baselines.lam_stages:ADAWORLD_STAGE",
        "controls": "flexlam_rl.models.baselines.stages:CONTROLS_STAGE",
        "vqvae": "flexlam_rl.models.videogpt.stages.definitions:VQVAE_STAGE",
        "videogpt": "flexlam_rl.models.videogpt.stages.definitions:VIDEOGPT_STAGE",
        "maskgit": "flexlam_rl.models.videogpt.stages.maskgit:MASKGIT_STAGE",
        "vqgan": "flexlam_rl.models.teco.stages.definitions:VQGAN_STAGE",
        "teco": "flexlam_rl.models.teco.stages.definitions:TECO_STAGE",
        "direct": "flexlam_rl.models.teco.stages.definitions:DIRECT_STAGE",
        "reward_head": "flexlam_rl.models.reward_head.stage:REWARD_HEAD_STAGE",
        "midway": "flexlam_rl.models.lamo.stages.definitions:MIDWAY_STAGE",
        "lamo_decoder": "flexlam_rl.models.lamo.stages.definitions:DECODER_STAGE",
        "lamo": "flexlam_rl.models.lamo.stages.definitions:LAMO_STAGE",
        "elastictok": "flexlam_rl.models.elastictok.stages.definitions:ELASTICTOK_STAGE",
        "elastictok_regressor": "flexlam_rl.models.elastictok.stages.definitions:REGRESSOR_STAGE",
    },
    group="flexlam_rl.stages",
)
