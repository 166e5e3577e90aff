"""A policy on its way to others: bundles, the hub, and other libraries' kinds of policy."""

from pathlib import Path
from typing import Any

from flexlam_rl.agents.policy.bundle import Bundle, Decoding
from flexlam_rl.agents.policy.bundle_files import push_bundle, save_bundle
from flexlam_rl.utils.registry import Registry

ADAPTERS: Registry[Any] = Registry(
    "adapter",
    {
        "torchrl": "flexlam_rl.agents.adapters.torchrl:LatentActionModule",
        "tianshou": "flexlam_rl.agents.adapters.tianshou:TianshouLatentPolicy",
    },
)
"""Other libraries' kinds of policy, which import this file."""


class Sharing:
    """Ways to give a latent action policy away."""

    bundle: Bundle
    decoding: Decoding

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the policy as a bundle, which `from_pretrained` loads: its models, and the way that it decides.

        Args:
            folder: Of the bundle; a bundle there is replaced.

        Returns:
            The folder.

        Raises:
            OSError: It cannot be written, or holds something else.
        """
        return save_bundle(Path(folder), self.bundle, self.decoding)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        message: str = "Upload a policy of flexlam_rl",
    ) -> str:
        """Upload the policy to a hub repository, from which `from_pretrained` loads it.

        Args:
            repo_id: "owner/name"; it is made where it does not exist.
            private: Whether a new repository is private, None for the owner's default.
            token: Of the hub, None for the one that `hf auth login` keeps.
            message: Of the commit.

        Returns:
            Address of the commit.

        Raises:
            CheckpointError: The hub refuses the upload, or cannot be reached.
        """
        return push_bundle(repo_id, self.bundle, self.decoding, private, token, message)

    def as_tensordict_module(self, **options: Any) -> Any:
        """This policy as a TensorDictModule for TorchRL; the options of `agents.adapters.torchrl.LatentActionModule`
        (extra `tensordict`).
        """
        return ADAPTERS.get("torchrl")(self, **options)

    def as_tianshou_policy(self, action_space: Any) -> Any:
        """This policy for Tianshou 2's collectors (the package `tianshou`).

        Args:
            action_space: The environment's single one.
        """
        return ADAPTERS.get("tianshou")(self, action_space)
