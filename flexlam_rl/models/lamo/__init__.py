"""LaMo with the Midway network: video predicted through its motion. See README.md beside this file."""

from flexlam_rl.models.systems import System

_HERE = "flexlam_rl.models.lamo"
SYSTEM = System(
    "continuous motion tokens by levels, and a world model that predicts them instead of states",
    {
        "Midway": f"{_HERE}.midway",
        "PixelDecoder": f"{_HERE}.pixel_decoder",
        "LaMo": f"{_HERE}.lamo",
    },
)
