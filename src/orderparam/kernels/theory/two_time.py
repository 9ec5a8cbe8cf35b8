"""Kernels between two steps, formed from the fields at all saved steps.

    Phi(t, s) = < phi(h(t)) phi(h(s)) >,     G(t, s) = < g(t) g(s) >,     g = phi'(h) z

With convolution they are what the readout sees, as at equal times: averages (Phi) or sums (G) over
pairs of positions for the pooled one, over equal positions for the flattened one.
"""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.problem import KernelEvolution

Fields = Mapping[str, Float[np.ndarray, "layer _ _"]]
"""Rows (samples, outputs of backward fields, positions) of points, or of coefficients."""


def two_time(
    problem: KernelEvolution, fields: Sequence[Fields], name: str, exact: bool
) -> Float[np.ndarray, "layer time time sample sample"]:
    """One kernel between every two of the saved steps.

    Args:
        problem: Its network says what rows mean: samples, outputs (for `G`) and positions.
        fields: Fields at every saved step; h and z at least.
        name: `Phi` or `G`.
        exact: Whether fields are coefficients of normals instead of values at points.

    Returns:
        The kernel, whose rows are samples, for `G` samples times outputs, outputs fastest.
    """
    network, A = problem.network, problem.network.positions
    vectors = [_vectors(problem, one, name) for one in fields]
    # In an exact space vectors gain coefficients as the run goes on; earlier ones are zero there.
    room = max(v.shape[-1] for v in vectors)
    padded = [np.pad(v, ((0, 0), (0, 0), (0, room - v.shape[-1]))) for v in vectors]
    stacked = np.stack(padded)
    stacked = stacked.reshape(*stacked.shape[:2], -1, A, room)
    size = 1 if exact else room
    if isinstance(network, CNN) and network.readout == "pooled":
        stacked = stacked.sum(axis=3, keepdims=True)
        size *= A**2 if name == "Phi" else 1
    elif name == "Phi":
        size *= A
    return np.einsum("tlias,uljas->ltuij", stacked, stacked, optimize=True) / size


def _vectors(problem: KernelEvolution, fields: Fields, name: str) -> Float[np.ndarray, "layer _ _"]:
    """phi(h) or phi'(h) z, whose rows are samples, outputs, positions."""
    kept = fields.get({"Phi": "phi", "G": "g"}[name])
    if kept is not None:
        return np.asarray(kept)
    activation, h = problem.network.activation, jnp.asarray(fields["h"])
    if name == "Phi":
        return np.asarray(activation(h))
    A, z = problem.network.positions, np.asarray(fields["z"])
    slope = np.asarray(activation.derivative(h)).reshape(len(h), -1, A, h.shape[-1])
    return np.repeat(slope, problem.data.outputs, axis=1).reshape(len(h), z.shape[1], -1) * z
