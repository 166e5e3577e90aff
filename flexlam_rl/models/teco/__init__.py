"""TECO: video as one token per frame and a prior per frame, and models to compare it with. See README.md beside
this.
"""

from flexlam_rl.models.systems import System

_HERE = "flexlam_rl.models.teco"
SYSTEM = System(
    "a VQ-GAN of frames and latent dynamics over them, which predict hundreds of consistent frames",
    {
        "VQGAN": f"{_HERE}.vqgan",
        "TECO": f"{_HERE}.teco",
        "Direct": f"{_HERE}.direct",
    },
)
