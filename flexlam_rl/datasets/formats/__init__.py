"""Formats that rollouts are imported from and exported to, one file or folder per format (see `datasets.format`)."""

import pkgutil

from flexlam_rl.datasets.format import Format
from flexlam_rl.utils.registry import Registry


def built_in() -> dict[str, str]:
    """Find the formats in this folder: maps each name to the "module:attribute" of its `Format`."""
    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return {name.replace("_", "-"): f"{__name__}.{name}:FORMAT" for name in found}


FORMATS: Registry[Format] = Registry("format", built_in(), group="flexlam_rl.formats")
"""All formats, by name on the command line."""
