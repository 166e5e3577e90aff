"""FlexLAM: variable-length latent actions for DeepMind Lab, from environments to evaluation.

Importing this package registers the Gymnasium environments `FlexLAM-DMLab-v0`, `FlexLAM-DMLab/<level>-v0` and
`FlexLAM-Imagined-v0`; it loads neither torch nor the compiled engine. The names below are loaded when they are first
used.
"""

from flexlam_rl.utils.startup import guard

guard()  # before the first slow import; it does nothing unless a command of this package was started

from flexlam_rl.envs.registration import register_all  # noqa: E402
from flexlam_rl.utils import moved  # noqa: E402
from flexlam_rl.utils.lazy import lazy_names  # noqa: E402

__version__ = "0.1.0"

_WHERE = {
    "ACTION_SETS": "envs.domains.dmlab.actions",
    "DMLabEnv": "envs.domains.dmlab.env",
    "DMLabVectorEnv": "envs.domains.dmlab.vector",
    "InstructionTokens": "envs.wrappers.instructions",
    "LEVELS": "envs.domains.dmlab.levels",
    "LatentActionPolicy": "agents.policy.latent_action",
    "LatentActionSpace": "agents.latent_space",
    "SUITE": "envs.domains.dmlab.levels",
    "VectorInstructionTokens": "envs.wrappers.instructions",
    "VectorLatentActionSpace": "agents.latent_space",
    "action_set": "envs.domains.dmlab.actions",
    "dm_env_view": "envs.domains.dmlab.dm_view",
    "make_sb3": "agents.adapters.sb3",
}
__all__ = [*_WHERE, "__version__"]
__getattr__, __dir__ = lazy_names(__name__, _WHERE)

moved.install()
register_all()
