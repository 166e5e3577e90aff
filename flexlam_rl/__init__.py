"""FlexLAM: variable-length latent actions for DeepMind Lab, from environments to evaluation."""

__version__ = "0.1.0"
