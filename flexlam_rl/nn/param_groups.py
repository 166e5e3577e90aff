"""Groups of parameters that an optimizer treats alike.

A parameter's kind follows from the module that owns it, never from its name. Weights of linear layers inside a
`HiddenLayer` are hidden matrices, which Muon may train. Weights of other linear layers and of convolutions decay but
are not hidden matrices. All other parameters (biases, norms, embeddings, positions, learned tokens, nulls) do not
decay.
"""

from collections.abc import Iterator
from typing import Literal, TypedDict

from torch import nn

_CONVOLUTIONS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip


class ParamGroup(TypedDict):
    """Parameters that an optimizer treats alike.

    Attributes:
        params: The parameters that require gradients, in the model's order.
        kind: "matrix" for hidden matrices, all two-dimensional, which Muon may train; "other" for the rest.
        decay: Whether weight decay applies.
    """

    params: list[nn.Parameter]
    kind: Literal["matrix", "other"]
    decay: bool


class HiddenLayer(nn.Module):
    """Layer inside the network: neither the first after the input nor the last before the output."""


def param_groups(model: nn.Module, decayed_embeddings: tuple[str, ...] = ()) -> list[ParamGroup]:
    """Sort the parameters that require gradients into groups.

    Args:
        model: The model.
        decayed_embeddings: Names of the modules of type `nn.Embedding` whose weights decay nevertheless.

    Returns:
        At most three groups, none empty: other weights that decay, hidden matrices, and parameters that do not decay.
    """
    groups: list[ParamGroup] = [
        {"params": [], "kind": "other", "decay": True},
        {"params": [], "kind": "matrix", "decay": True},
        {"params": [], "kind": "other", "decay": False},
    ]
    seen: set[int] = set()
    for name, module, hidden in _modules(model, "", False):
        for key, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if key == "weight" and isinstance(module, nn.Linear):
                group = groups[1 if hidden else 0]
            elif (key == "weight" and isinstance(module, _CONVOLUTIONS)) or name in decayed_embeddings:
                group = groups[0]
            else:
                group = groups[2]
            group["params"].append(parameter)
    return [group for group in groups if group["params"]]


def _modules(module: nn.Module, name: str, hidden: bool) -> Iterator[tuple[str, nn.Module, bool]]:
    """A module and all below it in torch's order, each with its name and whether it belongs to a hidden layer."""
    hidden = hidden or isinstance(module, HiddenLayer)
    yield name, module, hidden
    for key, child in module.named_children():
        yield from _modules(child, f"{name}.{key}".lstrip("."), hidden)
