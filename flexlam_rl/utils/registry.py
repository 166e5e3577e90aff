"""The class that finds things by name: quantizers, formats, domains, stages, experts, policies."""

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind, found by name.

    A name stands for an object registered in this process, for a built-in "module:attribute" that is imported on first
    use, or for an entry point of an installed package.

    Args:
        kind: Singular noun for the things, used in messages ("quantizer").
        built_in: Maps names to "module:attribute"; a module is imported only when its name is asked for.
        group: Group of entry points through which other packages add things ("flexlam_rl.policies"); None for none.
    """

    def __init__(self, kind: str, built_in: Mapping[str, str] | None = None, group: str | None = None) -> None:
        self.kind, self.group = kind, group
        self._built_in = dict(built_in or {})
        self._registered: dict[str, T] = {}

    def register(self, name: str, thing: T | None = None) -> Any:
        """Register a thing under a name in this process.

        Args:
            name: The name.
            thing: The thing; without it, the result is a decorator that registers what it decorates.

        Returns:
            The thing, or the decorator.

        Raises:
            ValueError: Another thing has the name.
        """
        if thing is None:
            return lambda given: self.register(name, given)
        if name in self._built_in:
            raise ValueError(f"{self.kind.capitalize()} {name!r} is built in: choose another name.")
        if self._registered.get(name, thing) is not thing:
            raise ValueError(f"{self.kind.capitalize()} {name!r} is registered already: choose another name.")
        self._registered[name] = thing
        return thing

    def unregister(self, name: str) -> None:
        """Remove a thing that was registered in this process; unknown names are ignored."""
        self._registered.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """All names: first the built-in ones in their given order, then the others in alphabetical order."""
        return (*self._built_in, *sorted({*self._registered, *self._entry_points()} - set(self._built_in)))

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def get(self, name: str) -> T:
        """Find a thing by name.

        Raises:
            ValueError: Nothing has the name; the message lists all names.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            return getattr(import_module(module), attribute)
        points = self._entry_points()
        if name in points:
            return points[name]()
        close = difflib.get_close_matches(str(name), self.names(), n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(
            f"Unknown {self.kind} {name!r}{hint}: expected one of "
            f"{', '.join(self.names()) or 'none, because none is registered'}."
        )

    def _entry_points(self) -> dict[str, Callable[[], T]]:
        return {} if self.group is None else {point.name: point.load for point in entry_points(group=self.group)}
