"""FlexLAM: variable-length latent actions for DeepMind Lab, from environments to evaluation.

Importing this package registers the Gymnasium environments `FlexLAM-DMLab-v0` and `FlexLAM-DMLab/<level>-v0`.
"""

from flexlam_rl.registration import register_all

__version__ = "0.1.0"

register_all()
