"""The fields of an environment's record as attributes of the environment."""

from flexlam_rl.envs.spec import EnvSpec


class SpecAttributes:
    """Shows the fields of `env_spec`, which cannot be set.

    Attributes:
        env_spec: How the level is shown and controlled.
    """

    env_spec: EnvSpec

    @property
    def engine(self) -> str:
        """What simulates the level, "litelab" or "deepmind_lab"."""
        return self.env_spec.engine

    @property
    def frame_skip(self) -> int:
        """60 Hz frames that one step plays."""
        return self.env_spec.frame_skip

    @property
    def textures(self) -> str:
        """Look of the surfaces, "original" on the real engine."""
        return self.env_spec.textures

    @property
    def hud(self) -> str:
        """What is drawn over the view."""
        return self.env_spec.hud
