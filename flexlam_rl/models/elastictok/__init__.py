"""ElasticTok: frames as codes of which any prefix is enough. See README.md beside this file."""

from flexlam_rl.models.systems import System

_HERE = "flexlam_rl.models.elastictok"
SYSTEM = System(
    "an autoencoder of video that keeps any number of codes, and searches for the fewest that are enough",
    {"ElasticTok": f"{_HERE}.elastictok", "LengthRegressor": f"{_HERE}.regressor"},
)
