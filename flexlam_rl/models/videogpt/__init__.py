"""VideoGPT: clips as codes, and a transformer over the codes. See README.md beside this file."""

from flexlam_rl.models.systems import System

_HERE = "flexlam_rl.models.videogpt"
SYSTEM = System(
    "a VQ-VAE of video and a GPT over its codes, which samples clips and computes their likelihood",
    {"VQVAE": f"{_HERE}.vqvae", "VideoGPT": f"{_HERE}.videogpt", "MaskGIT": f"{_HERE}.maskgit"},
)
