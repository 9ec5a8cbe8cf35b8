"""Sharing the points of sampled spaces between devices."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from orderparam.engine.sampled import SampledSpace
from orderparam.engine.state import State
from orderparam.errors import InvalidProblem


def shard(state: State, devices: int) -> State:
    """Spread the sample axis of every space over devices; histories are kept on each of them.

    Averages over samples become sums over devices; results agree with one device to 1e-10 as long
    as the same directions are recorded.

    Args:
        state: A fresh state of sampled spaces.
        devices: How many devices to use.

    Raises:
        InvalidProblem: If there are not that many devices.
    """
    if devices > jax.device_count():
        raise InvalidProblem(
            f"Argument `devices` is {devices}, but {jax.device_count()} are visible; use at most "
            "that many."
        )
    mesh = Mesh(np.asarray(jax.devices()[:devices]), ("samples",))
    split = NamedSharding(mesh, PartitionSpec(None, "samples"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    points = {s.points for s in state.spaces.values() if isinstance(s, SampledSpace)}

    def placed(x: Any) -> Any:
        """Arrays of vectors have the points of the spaces on their last axis."""
        vectors = eqx.is_array(x) and x.ndim == 2 and x.shape[1] in points
        return jax.device_put(x, split if vectors else everywhere) if eqx.is_array(x) else x

    return jax.tree.map(placed, state)
