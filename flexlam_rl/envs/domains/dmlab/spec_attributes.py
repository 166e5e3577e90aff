"""Fields of an environment's record as attributes of the environment."""

from flexlam_rl.envs.spec import EnvSpec


class SpecAttributes:
    """Gives read-only access to fields of `env_spec`.

    Attributes:
        env_spec: How the level is shown and controlled.
    """

    env_spec: EnvSpec

    @property
    def engine(self) -> str:
        """Engine that simulates the level, "litelab" or "deepmind_lab"."""
        return self.env_spec.engine

    @property
    def frame_skip(self) -> int:
        """Number of 60 Hz frames per step."""
        return self.env_spec.frame_skip

    @property
    def textures(self) -> str:
        """Look of the surfaces; "original" on the real engine."""
        return self.env_spec.textures

    @property
    def hud(self) -> str:
        """Overlay on the view: "full", "reduced" or "none"."""
        return self.env_spec.hud
