"""Sharing a policy: as a bundle, on the hub, and as a policy of other libraries."""

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
"""Package of the adapters, which import this file."""


class Sharing:
    """Adds methods for sharing to a latent action policy."""

    bundle: Bundle
    decoding: Decoding

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the policy's models and its options of decisions as a bundle, which `from_pretrained` loads.

        Args:
            folder: Folder of the bundle; a bundle there is replaced.

        Returns:
            The folder.

        Raises:
            OSError: The folder cannot be written, or holds something else.
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
            repo_id: Hub id "owner/name"; the repository is made if it does not exist.
            private: Whether a new repository is private; None for the owner's default.
            token: Token of the hub; None for the one that `hf auth login` keeps.
            message: Commit message.

        Returns:
            The address of the commit.

        Raises:
            CheckpointError: The hub refuses the upload, or cannot be reached.
        """
        return push_bundle(repo_id, self.bundle, self.decoding, private, token, message)

    def as_tensordict_module(self, **options: Any) -> Any:
        """Wrap this policy as a TensorDictModule for TorchRL (extra `tensordict`).

        Args:
            **options: Options of `agents.adapters.torchrl.LatentActionModule`.
        """
        return ADAPTERS.get("torchrl")(self, **options)

    def as_tianshou_policy(self, action_space: Any) -> Any:
        """Wrap this policy for Tianshou 2's collectors (the package `tianshou`).

        Args:
            action_space: The action space of a single environment.
        """
        return ADAPTERS.get("tianshou")(self, action_space)
