"""Access to the single environments of a batch: their attributes, random generators and pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec as GymSpec
from gymnasium.vector import VectorEnv

from flexlam_rl.envs.domains.dmlab.member import Member
from flexlam_rl.envs.plain_spec import plain_spec


class BatchAccess(VectorEnv[Any, Any, np.ndarray]):
    """Base of `DMLabVectorEnv` with the methods that access its single environments."""

    _members: Sequence[Member]
    _spec: GymSpec | None = None

    @property
    def spec(self) -> GymSpec | None:
        """Gymnasium's specification, in Python's own types."""
        return self._spec

    @spec.setter
    def spec(self, value: GymSpec | None) -> None:
        self._spec = plain_spec(value)

    @property
    def envs(self) -> list[Member]:
        """The single environments, for inspection."""
        return list(self._members)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Each environment's generator of episode seeds."""
        return tuple(member.np_random for member in self._members)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed that each environment's generator was made from."""
        return tuple(member.np_random_seed for member in self._members)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of every environment, or read an attribute.

        Args:
            name: Name of the method or attribute.
            *args, **kwargs: Arguments of the method.

        Returns:
            One result per environment.

        Raises:
            AttributeError: There is no method or attribute of that name.
        """
        found = [member.get_wrapper_attr(name) for member in self._members]
        return tuple(value(*args, **kwargs) if callable(value) else value for value in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Read an attribute of every environment.

        Raises:
            AttributeError: There is no attribute of that name.
        """
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every environment.

        Args:
            name: Name of the attribute; options of the batch cannot be set.
            values: A list or tuple with one value per environment, or one value for all.

        Raises:
            ValueError: The list does not have one value per environment.
            AttributeError: The attribute is an option, which all environments share.
        """
        each = list(values) if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(
                f"values has {len(each)} entries for num_envs={self.num_envs}: give one value or one for each "
                "environment."
            )
        for member, value in zip(self._members, each, strict=True):
            member.set_wrapper_attr(name, value)

    def render(self) -> tuple[Any, ...]:
        """View of each environment, (height, width, 3) uint8 of `render_size`; None for each without a render mode."""
        return tuple(member.render() for member in self._members)
