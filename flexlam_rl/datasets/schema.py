"""The layout of a rollout store as Zarr v3 metadata.

Legend: `N` rows, `H W C` a frame, `E` episodes, `D` dimensions of an action.

A store is one Zarr group for one level and split, `<root>/<level>/<split>.zarr`. Its rows are frames in the order of
play; the rows of one episode are contiguous. Row `t` has the observation *before* action `t` and the reward for action
`t`. An episode of `T` actions has `T + 1` rows if its last observation exists (as on litelab; the last row then has
action -1 and reward 0), else `T`.

```
frames           u8   (N, H, W, C)   sharded, zstd, crc32c
action           i16  (N,)           row of the action table; -1 if no action follows, or none is known
action_native    i16  (N, 7)         DeepMind Lab's seven native actions; zeros if no action follows, -32768 in
                                     episodes whose actions are not known
reward           f32  (N,)           for action t; f64 in a store made with reward="float64"
terminated       bool (N,)           action t ended the episode by the level's rules
truncated        bool (N,)           action t ended the episode by a time limit
restart          bool (N,)           the map restarted before this frame: it does not continue the row before
instruction      i32  (N,)           index into the attribute `instructions`
episode          i32  (N,)           number of the episode
extra/<name>                         extra columns: of imported data, and bool `expert_chose` (see marks.py)
episodes/        start i64, rows i32, length i32 (actions), return f64, seed i64, key i64, crc u32; all (E,)
labels/<name>/<part>  i64            sorted rows with a known action (see labels.py)
```
A store whose origin describes its actions (`Origin.actions`, for every world but DMLab) has version 2 and no column
`action_native`. Its column `action` is i16 (N,) for one choice, i16 (N, D) for several, and f32 or f64 (N, D) for
continuous actions, in the environment's own unit. Choices are counted from 0, wherever the space starts. If no action
follows, or none is known, all dimensions are -1 or NaN.

In a store with actions, an episode without them (partly labeled data) has rewards of 0.

The group's attributes say where the data comes from (`Origin`) and contain the commit record: `commit = {rows,
episodes, steps, digest}`. Rows beyond `commit.rows` are unfinished work of a writer that died; readers ignore them.
"""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from flexlam_rl.envs.action_values import stored_type
from flexlam_rl.envs.spec import ActionSpec, EnvSpec
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.numbers import exact, int64
from flexlam_rl.utils.plain import json_value

SCHEMA = "flexlam_rl.rollouts"
VERSIONS = (1, 2)  # version 2 has actions of any space
UNKNOWN_NATIVE = -32768  # in all seven native actions of an episode whose actions are not known
DMLAB_ENGINES = ("litelab", "deepmind_lab")
COLUMN_CHUNK = 65_536
EPISODE_CHUNK = 16_384

# columns besides the frames: type, shape of a row
STEP_COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "action": ("int16", ()),
    "action_native": ("int16", (7,)),
    "reward": ("float32", ()),
    "terminated": ("bool", ()),
    "truncated": ("bool", ()),
    "restart": ("bool", ()),
    "instruction": ("int32", ()),
    "episode": ("int32", ()),
}
EPISODE_COLUMNS: dict[str, str] = {
    "start": "int64",
    "rows": "int32",
    "length": "int32",
    "return": "float64",
    "seed": "int64",
    "key": "int64",
    "crc": "uint32",
}


@dataclass(frozen=True)
class Origin:
    """Where the data of a store comes from. All writers that append to a store must have the same origin.

    Attributes:
        env_id: Gymnasium id; "" for imported data.
        engine, engine_version: Name ("litelab", "deepmind_lab", ...) and version of the engine.
        textures: Look of the surfaces ("procedural", "labmaze", or "original").
        action_set: Name of the action set ("dreamer15").
        action_table: Native action of each discrete one, (n, 7) as nested tuples; empty for native actions.
        action_hash: Hash of the action set.
        frame_skip: Simulator frames per step.
        hud: "full", "reduced" or "none".
        policy: Name of the policy that played.
        policy_params: Parameters of the policy (temperature, checkpoint, ...), as JSON values.
        seed: Root seed of the collection; -1 if unknown.
        domain: Name of the domain ("dmlab"); "" if unknown.
        look: How the world is drawn, apart from `textures` and `hud`.
        actions: Description of actions that are not DeepMind Lab's; None for DeepMind Lab's.
        references: Known reference returns, {"random": x, "expert": y, ...}.
        source: Source of imported data, as JSON values.
    """

    env_id: str = ""
    engine: str = "unknown"
    engine_version: str = ""
    textures: str = ""
    action_set: str = ""
    action_table: tuple[tuple[int, ...], ...] = ()
    action_hash: str = ""
    frame_skip: int = 4
    hud: str = "full"
    policy: str = "unknown"
    policy_params: dict[str, Any] = field(default_factory=dict)
    seed: int = -1
    domain: str = ""
    look: dict[str, str] = field(default_factory=dict)
    actions: ActionSpec | None = None
    references: dict[str, float] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        table = (
            exact(self.action_table, np.int16, "The action table of an origin")
            if len(self.action_table)
            else np.empty((0, 7), np.int16)
        )
        if table.ndim != 2 or table.shape[1] != 7:
            raise ValueError(f"The action table of an origin has shape {table.shape}: expected (actions, 7).")
        own: dict[str, Any] = {"action_table": tuple(map(tuple, table.tolist()))}
        own |= {name: int64(getattr(self, name), f"{name} of an origin") for name in ("frame_skip", "seed")}
        own |= {
            name: json_value(getattr(self, name), f"{name} of an origin")
            for name in ("policy_params", "references", "source", "look")
        }
        if not self.domain and self.engine in DMLAB_ENGINES:  # old stores do not record a domain
            own["domain"] = "dmlab"
        if self.actions is not None:
            stored_type(self.actions)  # raises an error if a column cannot hold them
            if self.action_table:
                raise ValueError("An origin has an action table and a description of other actions: expected one.")
        for f in fields(self):
            value = own.get(f.name, getattr(self, f.name))
            if f.type is str and not isinstance(value, str):
                raise ValueError(f"{f.name} of an origin is {value!r}: expected a text.")
            object.__setattr__(self, f.name, str(value) if f.type is str else value)

    @classmethod
    def of(cls, spec: EnvSpec, **fields: Any) -> "Origin":
        """Make the origin of data from an environment.

        Args:
            spec: How the environment is shown and controlled; the frame size is not part of an origin.
            **fields: The other fields of an origin: `policy`, `seed`, `action_table`, ...
        """
        shared = ("domain", "engine", "textures", "action_set", "action_hash", "frame_skip", "hud")
        look = {name: value for name, value in spec.look if name not in shared}
        return cls(**{name: getattr(spec, name) for name in shared} | {"look": look} | fields)

    @property
    def spec(self) -> EnvSpec:
        """How the environment was shown and controlled. The frame size is 0x0 here; `RolloutStore.spec` has it."""
        look = {"hud": self.hud, "textures": self.textures, **self.look}
        return EnvSpec(
            domain=self.domain,
            engine=self.engine,
            action_set=self.action_set,
            action_hash=self.action_hash,
            frame_skip=self.frame_skip,
            width=0,
            height=0,
            look=tuple((name, value) for name, value in look.items() if value),
        )

    def attributes(self) -> dict[str, Any]:
        """Convert to JSON values, for a store's attributes."""
        actions = None if self.actions is None else self.actions.to_json()
        return {**asdict(self), "action_table": [list(row) for row in self.action_table], "actions": actions}

    @classmethod
    def from_attributes(cls, attributes: dict[str, Any]) -> "Origin":
        """Make an origin from a store's attributes; unknown keys are ignored."""
        known = {f.name: attributes[f.name] for f in fields(cls) if f.name in attributes}
        if known.get("actions") is not None:
            known["actions"] = ActionSpec.from_json(known["actions"])
        return cls(**known)

    def check_same(self, other: "Origin", where: str) -> None:
        """Check that another origin may write to the same store; `references` and `source` may differ.

        Args:
            other: Origin of the writer.
            where: Name of the store in the error.

        Raises:
            StoreError: A field differs; the message gives both values.
        """
        mine, theirs = self.attributes(), other.attributes()
        for name in mine:
            if name not in ("references", "source") and mine[name] != theirs[name]:
                raise StoreError(
                    f"{where} has data with {name} {mine[name]!r}, but the writer has {theirs[name]!r}: use another "
                    "folder."
                )


def action_columns(with_actions: bool, actions: ActionSpec | None) -> tuple[str, ...]:
    """List the columns of a store for actions and rewards."""
    if not with_actions:
        return ()
    return ("action", "action_native", "reward") if actions is None else ("action", "reward")


def step_columns(
    with_actions: bool, actions: ActionSpec | None, reward: str = "float32"
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Find type and row shape of each column of a store, except the frames.

    Args:
        with_actions: False for video only.
        actions: `actions` of the store's origin.
        reward: Type of the rewards.
    """
    left_out = {"action", "action_native", "reward"} - set(action_columns(with_actions, actions))
    types = {**STEP_COLUMNS, "reward": (reward, ())}
    if actions is not None:
        types["action"] = stored_type(actions)
    return {name: column for name, column in types.items() if name not in left_out}


def frames_metadata(shape: tuple[int, ...], chunk: int, shard: int, codec: str, level: int) -> dict[str, Any]:
    """Make the Zarr v3 metadata of the frames: shards of inner chunks that are compressed and checksummed separately.

    Args:
        shape: Shape of a frame.
        chunk: Frames per inner chunk.
        shard: Frames per shard.
        codec, level: As for `compressor`.
    """
    inner = [{"name": "bytes"}, *compressor(codec, level, chunk * int(np.prod(shape))), {"name": "crc32c"}]
    sharding = {
        "chunk_shape": [chunk, *shape],
        "codecs": inner,
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
    }
    return {
        "shape": [0, *shape],
        "data_type": "uint8",
        "dimension_names": ["row", "y", "x", "channel"],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [shard, *shape]}},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
    }


def compressor(codec: str, level: int, nbytes: int) -> list[dict[str, Any]]:
    """Make the Zarr v3 metadata of the frames' compressor.

    Args:
        codec: "zstd" (smallest), "lz4hc" (decodes two to three times as fast, takes two to four times as long to write)
            or "none".
        level: Compression level of the codec.
        nbytes: Size of an inner chunk, which lz4hc compresses as one block.

    Raises:
        ValueError: The codec is unknown.
    """
    if codec == "zstd":
        return [{"name": "zstd", "configuration": {"level": level, "checksum": False}}]
    if codec == "lz4hc":
        return [
            {
                "name": "blosc",
                "configuration": {
                    "cname": "lz4hc",
                    "clevel": min(level, 9),
                    "shuffle": "noshuffle",
                    "typesize": 1,
                    "blocksize": nbytes,
                },
            }
        ]
    if codec == "none":
        return []
    raise ValueError(f"Unknown codec {codec!r}: expected 'zstd', 'lz4hc' or 'none'.")


def extra_metadata(dtype: str, row: tuple[int, ...]) -> dict[str, Any]:
    """Make the Zarr v3 metadata of an extra column; chunks are smaller if rows are large, such as pictures."""
    return column_metadata(
        dtype, row, min(COLUMN_CHUNK, max(1, 2**22 // max(1, np.dtype(dtype).itemsize * math.prod(row))))
    )


def column_metadata(dtype: str, row: tuple[int, ...], chunk: int) -> dict[str, Any]:
    """Make the Zarr v3 metadata of a small array.

    Args:
        dtype: Type of the values.
        row: Shape of a row.
        chunk: Rows per chunk.
    """
    return {
        "shape": [0, *row],
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk, *row]}},
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
            {"name": "crc32c"},
        ],
    }
