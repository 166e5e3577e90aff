"""Quantizers: they turn the encoder's vectors into latent actions, and codes back into vectors. One file each."""

from flexlam_rl.nn.quantizers.interface import QUANTIZERS, Quantized, Quantizer, build_quantizer

__all__ = ["QUANTIZERS", "Quantized", "Quantizer", "build_quantizer"]
