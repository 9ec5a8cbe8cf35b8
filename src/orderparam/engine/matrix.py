"""A large Gaussian matrix, known only through the products it took part in.

`W_0` has n rows, m columns and iid entries N(0, variance/m), with aspect ratio rho = n/m. Given
orthonormal bases X (column space) and Y (row space) of all vectors it was applied to,

    W_0 = sigma sum_i U_i X_i^T / m + (sigma / sqrt(rho)) sum_k Y_k R_k^T / m    on these vectors,

with unit normals U (row space, drawn when X_i appeared) and R (column space, drawn when Y_k
appeared). The first sum is the fresh Gaussian part of `W_0 x`, the second is its response (the
Onsager term). A trained matrix is `W = kappa W_0 + Y^T C X / m` with a small matrix C.

Independent matrices that are applied to the same vectors, such as the offsets of a convolution,
are the blocks of one such matrix (see `taps`): X and Y are shared, and each direction has one
image U or R and one coefficient C per block.

Sources: Bolthausen 2014; Bayati & Montanari 2011; Berthier et al. 2020; Yang 2020; Bordelon &
Pehlevan 2022; docs/theory/engine.md, Conditioning, The compressed form, Trained matrices.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.engine.history import History
from orderparam.engine.recording import record
from orderparam.engine.space import KnownSpace
from orderparam.engine.taps import Taps, adjoint, gathered
from orderparam.errors import InvalidProblem

Scalar = float | Float[Array, ""]


class GaussianMatrix(eqx.Module):
    """A conditioned Gaussian matrix with a trained part.

    Attributes:
        row: Name of the space of its images (length n).
        column: Name of the space of its arguments (length m).
        variance: m times the variance of an entry, sigma^2.
        aspect_ratio: rho = n/m.
        response: Keep the response terms; without them the product is the gradient-independence
            approximation, which is wrong beyond the first steps.
        taps: Which vectors each block looks at; one block and each vector alone by default.
        tolerance: Relative squared norm below which a direction is not recorded.
        forward: History X of arguments of `mv`, with images U.
        backward: History Y of arguments of `rmv`, with images R.
        decay: kappa, the factor left on `W_0`.
        trained: C, the trained part.
        velocity: Momentum pair (kappa', C').
        queries: Coordinates of the most recent arguments (those of `mv` per block), consumed by
            `update`.
    """

    row: str = eqx.field(static=True)
    column: str = eqx.field(static=True)
    variance: float = eqx.field(static=True)
    aspect_ratio: float = eqx.field(static=True)
    response: bool = eqx.field(static=True)
    taps: Taps = eqx.field(static=True)
    tolerance: Float[Array, ""]
    forward: History
    backward: History
    decay: Float[Array, ""]
    trained: Float[Array, "ry rx block"]
    velocity: tuple[Float[Array, ""], Float[Array, "ry rx block"]]
    queries: tuple[Float[Array, "j ry"] | None, Float[Array, "k rx block"] | None]

    def mv(
        self, column: KnownSpace, row: KnownSpace, x: Float[Array, "k m"]
    ) -> tuple["GaussianMatrix", KnownSpace, KnownSpace, Float[Array, "k n"]]:
        """`W x = kappa (sigma a U + (sigma/sqrt(rho)) <R, x> Y) + a C^T Y`, a = <x, X>."""
        done = record(self.forward, column, row, x, self.tolerance, self.row == self.column)
        sigma, rho = self.variance**0.5, self.aspect_ratio
        a = gathered(done.a[:, :, None], self.taps)
        onto_y = jnp.einsum("kib,yib->ky", a, self.trained)
        if self.response:
            answers = self._per_block(self.backward.answers(done.q), self.taps).sum(axis=-1)
            onto_y = onto_y + self.decay * sigma / rho**0.5 * answers
        images = done.history.combine(a.reshape(a.shape[0], -1))
        c = self.decay * sigma * images + onto_y @ self.backward.basis
        new = self._remember("forward", done.history, (self.queries[0], a))
        return new, done.own, done.other, done.other.combine(c)

    def rmv(
        self, column: KnownSpace, row: KnownSpace, y: Float[Array, "k n"]
    ) -> tuple["GaussianMatrix", KnownSpace, KnownSpace, Float[Array, "k m"]]:
        """`W^T y = kappa (sigma sqrt(rho) b R + sigma rho <U, y> X) + rho b C X`, b = <y, Y>."""
        done = record(self.backward, row, column, y, self.tolerance, self.row == self.column)
        sigma, rho = self.variance**0.5, self.aspect_ratio
        taps = adjoint(self.taps)
        b = gathered(done.a[:, :, None], taps)
        onto_x = rho * jnp.einsum("kyb,yib->ki", b, self.trained)
        if self.response:
            answers = self._per_block(self.forward.answers(done.q), taps).sum(axis=-1)
            onto_x = onto_x + self.decay * sigma * rho * answers
        images = done.history.combine(b.reshape(b.shape[0], -1))
        c = self.decay * sigma * rho**0.5 * images + onto_x @ self.forward.basis
        new = self._remember("backward", done.history, (done.a, self.queries[1]))
        return new, done.other, done.own, done.other.combine(c)

    def _per_block(self, z: Float[Array, "k images"], taps: Taps) -> Float[Array, "k r block"]:
        return gathered(z.reshape(z.shape[0], -1, len(taps)), taps)

    def _remember(self, side: str, history: History, queries: tuple[Any, Any]) -> "GaussianMatrix":
        return eqx.tree_at(
            lambda s: (getattr(s, side), s.queries),
            self,
            (history, queries),
            is_leaf=lambda leaf: leaf is None,
        )

    def update(
        self,
        coefficients: Float[Array, " k"] | Float[Array, "j k"],
        step: Scalar = 1.0,
        decay: Scalar = 0.0,
        momentum: Scalar = 0.0,
        ridge: Scalar = 0.0,
    ) -> "GaussianMatrix":
        """One training step along `G = sum_jk c_jk y_j x_k^T / m` of the most recent products.

        A vector of coefficients stands for a diagonal matrix.

        `V <- momentum V + G - ridge W`, then `W <- (1 - decay) W + step V`.
        """
        b, a = self.queries
        if a is None or b is None:
            raise InvalidProblem(
                "update() needs one mv() and one rmv() since the last update(); call both first."
            )
        weights = weighted(coefficients, a.reshape(a.shape[0], -1)).reshape(-1, *a.shape[1:])
        gradient = jnp.einsum("jy,jib->yib", b, weights) - ridge * self.trained
        kappa_v = momentum * self.velocity[0] - ridge * self.decay
        trained_v = momentum * self.velocity[1] + gradient
        kappa = (1 - decay) * self.decay + step * kappa_v
        trained = (1 - decay) * self.trained + step * trained_v
        new = (kappa, trained, (kappa_v, trained_v), (None, None))
        return eqx.tree_at(lambda s: (s.decay, s.trained, s.velocity, s.queries), self, new)

    def forget(self) -> "GaussianMatrix":
        """Drop the most recent arguments, so that the state has one structure between steps."""
        return eqx.tree_at(lambda s: s.queries, self, (None, None))

    def response_overlaps(self) -> tuple[Float[Array, "ry imagesx"], Float[Array, "imagesy rx"]]:
        """`T = <Y, U>` and `T' = <R, X>`: the response functions in orthonormal coordinates.

        Each direction has one image per block, blocks fastest.
        """
        T = self.forward.answers(self.backward.basis)
        return T, self.backward.answers(self.forward.basis).T


def weighted(
    coefficients: Float[Array, " k"] | Float[Array, "j k"], x: Float[Array, "k n"]
) -> Float[Array, "j n"]:
    """Combinations of the rows of `x`, coefficient vectors standing for diagonal matrices."""
    return coefficients @ x if coefficients.ndim == 2 else coefficients[:, None] * x
