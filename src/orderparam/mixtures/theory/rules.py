"""A quadrature rule and its refinement, in blocks of nodes of one size.

One compiled program then iterates the equations by the first block and judges the result by all
the others.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from orderparam.mixtures.theory.equations import Overlaps, Setup, channel
from orderparam.mixtures.theory.weights import Conjugates
from orderparam.numerics.gaussian import gaussian_rule


class Rules(NamedTuple):
    """Blocks of nodes: the first is the rule, the others together are the refined one.

    Attributes:
        nodes: Nodes of every block.
        node_weights: Their weights, of the sum 1 in every block.
        shares: Share of a block in the average of its rule.
    """

    nodes: Float[Any, "block node output"]
    node_weights: Float[Any, "block node"]
    shares: Float[Any, " block"]


@functools.lru_cache(maxsize=32)
def rules_of(outputs: int, nodes: int) -> Rules:
    """The rule of `gaussian_rule` and its refinement, filled up with nodes of weight 0."""
    (x, w), (fine_x, fine_w) = (gaussian_rule(outputs, nodes, fine=fine) for fine in (False, True))
    size = len(w)
    blocks = -(-len(fine_w) // size)
    more = blocks * size - len(fine_w)
    fine_x = np.concatenate([fine_x, np.repeat(fine_x[-1:], more, axis=0)])
    parts = np.pad(fine_w, (0, more)).reshape(blocks, size)
    shares = parts.sum(axis=1)
    return Rules(
        np.concatenate([x[None], fine_x.reshape(blocks, size, outputs)]),
        np.concatenate([w[None], parts / shares[:, None]]),
        np.concatenate([[1.0], shares]),
    )


def forces(
    setup: Setup, rules: Rules, fine: Bool[Array, ""], alpha: Array, x: Overlaps
) -> tuple[Conjugates, Array]:
    """`channel` by the rule, or by the refined one."""
    blank = jnp.zeros((*setup.codes.shape, setup.codes.shape[1]))
    nothing = (Conjugates(blank, blank, jnp.zeros(setup.codes.shape)), jnp.zeros(()))

    def block(index: Array, total: tuple[Conjugates, Array]) -> tuple[Conjugates, Array]:
        nodes, weights, share = (part[index] for part in rules)
        own = eqx.tree_at(lambda s: (s.nodes, s.node_weights), setup, (nodes, weights))
        part = channel(own, alpha, x)
        return jax.tree.map(lambda old, new: old + share * new, total, part)

    first, last = jnp.where(fine, 1, 0), jnp.where(fine, len(rules.shares), 1)
    return lax.fori_loop(first, last, block, nothing)
