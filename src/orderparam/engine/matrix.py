"""A large Gaussian matrix, known only through the products it took part in.

`W_0` has n rows, m columns and iid entries N(0, variance/m), with aspect ratio rho = n/m. Given
orthonormal directions X (column space) and Y (row space) of the vectors it was applied to,

    W_0 = sigma sum_i U_i X_i^T / m + (sigma / sqrt(rho)) sum_k Y_k R_k^T / m    on these vectors,

with unit normals U (row space, drawn when X_i appeared) and R (column space, drawn when Y_k
appeared). The first sum is the fresh Gaussian part of `W_0 x`, the second is its response (the
Onsager term). Residuals outside X and Y act through slots in the same way (`recording.py`).

Training adds outer products y x^T. With a = <x, X> and b = <y, Y> what is kept of them is

    W = kappa W_0 + [Y^T M_x + M_y^T X - Y^T C X] / m,
    C += b a^T,   M_x += b x^T  (one vector for each Y_k),   M_y += a y^T  (one for each X_i)

which lacks nothing but the product of two residuals, of second order in what is not recorded.

Independent matrices that are applied to the same vectors, such as the offsets of a convolution,
are the blocks of one such matrix (see `taps`): X and Y are shared, and each direction has one
image, one coefficient and one moment per block.

Sources: Bolthausen 2014; Bayati & Montanari 2011; Berthier et al. 2020; Yang 2020; Bordelon &
Pehlevan 2022; docs/theory/engine.md, Conditioning, The compressed form, Trained matrices.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.engine.side import Known, Parts, Side
from orderparam.engine.space import KnownSpace
from orderparam.engine.taps import Taps, adjoint, gathered
from orderparam.engine.training import Query, Trained, gradient_of
from orderparam.errors import InvalidProblem

Scalar = float | Float[Array, ""]

Recorder = Callable[[Any, Array, Array], tuple[Any, Parts]]
"""How a matrix learns a block of vectors, given a tolerance; see `recording` and `gram_schmidt`."""


class GaussianMatrix(eqx.Module):
    """A conditioned Gaussian matrix with a trained part.

    Attributes:
        names: Names of the spaces of its arguments (length m) and of its images (length n).
        variance: m times the variance of an entry, sigma^2.
        aspect_ratio: rho = n/m.
        response: Keep the response terms; without them the product is the gradient-independence
            approximation, which is wrong beyond the first steps.
        taps: Which vectors each block looks at; one block and each vector alone by default.
        record: How directions are learned, which depends on the kind of spaces.
        tolerance: Relative squared norm below which a direction is not recorded.
        column: What it keeps in the space of its arguments.
        row: What it keeps in the space of its images.
        decay: kappa, the factor left on `W_0`.
        core: C, what was trained along pairs of recorded directions.
        velocity: Momentum of all that is trained; `None` without momentum.
        queries: The most recent arguments of `rmv` and `mv`, consumed by `update`.
    """

    names: tuple[str, str] = eqx.field(static=True)
    variance: float = eqx.field(static=True)
    aspect_ratio: float = eqx.field(static=True)
    response: bool = eqx.field(static=True)
    taps: Taps = eqx.field(static=True)
    record: Recorder = eqx.field(static=True)
    tolerance: Float[Array, ""]
    column: Side
    row: Side
    decay: Float[Array, ""]
    core: Float[Array, "ry rx block"]
    velocity: Trained | None
    queries: tuple[Query | None, Query | None]

    def mv(
        self, spaces: Mapping[str, KnownSpace], x: Float[Array, "k m"]
    ) -> tuple["GaussianMatrix", dict[str, KnownSpace], Float[Array, "k n"]]:
        """`W x` for each vector of the block, and what was learned with it."""
        sigma, rho = self.variance**0.5, self.aspect_ratio
        new, spaces, y, query = self._product(
            spaces, x, ("column", "row"), self.taps, self.core, (sigma, sigma / rho**0.5, 1.0)
        )
        return new._remember((self.queries[0], query)), spaces, y

    def rmv(
        self, spaces: Mapping[str, KnownSpace], y: Float[Array, "k n"]
    ) -> tuple["GaussianMatrix", dict[str, KnownSpace], Float[Array, "k m"]]:
        """`W^T y` for each vector of the block, and what was learned with it."""
        sigma, rho = self.variance**0.5, self.aspect_ratio
        factors = (sigma * rho**0.5, sigma * rho, rho)
        new, spaces, x, query = self._product(
            spaces, y, ("row", "column"), adjoint(self.taps), self.core.swapaxes(0, 1), factors
        )
        return new._remember((query, self.queries[1])), spaces, x

    def _product(
        self,
        spaces: Mapping[str, KnownSpace],
        x: Float[Array, "k n"],
        sides: tuple[str, str],
        taps: Taps,
        core: Float[Array, "there here block"],
        factors: tuple[float, float, float],
    ) -> tuple["GaussianMatrix", dict[str, KnownSpace], Array, Query]:
        """The product with an argument in the space of the first side, in one pass over each.

        `factors` are those of images, of responses and of the trained part.
        """
        names = self.names if sides[0] == "column" else self.names[::-1]
        homes = tuple(spaces[name] for name in dict.fromkeys(names))
        given = Known(getattr(self, sides[0]), getattr(self, sides[1]), homes)
        known, p = self.record(given, x, self.tolerance)
        blocks, (image, answer, trained) = len(taps), factors

        def seen(z: Float[Array, "k r"]) -> Float[Array, "k r block"]:
            return gathered(z[:, :, None], taps)

        def answered(z: Float[Array, "k image"]) -> Float[Array, "k r"]:
            return gathered(z.reshape(z.shape[0], -1, blocks), taps).sum(axis=-1)

        a = seen(p.direction)
        onto = trained * (answered(p.moment) - jnp.einsum("kib,yib->ky", a, core))
        slot = jnp.zeros((x.shape[0], known.other.slots))
        if self.response:
            onto = onto + self.decay * answer * answered(p.image)
            slot = self.decay * answer * answered(p.slot_image)
        flat = a.reshape(a.shape[0], -1)
        held = seen(p.slot).reshape(a.shape[0], -1)
        c = Parts(
            slot=slot,
            slot_image=self.decay * image * held,
            direction=onto,
            image=self.decay * image * flat,
            moment=trained * flat,
        )
        y = known.other.combined(c)
        new = eqx.tree_at(
            lambda s: (getattr(s, sides[0]), getattr(s, sides[1])), self, (known.own, known.other)
        )
        learned = dict(zip(dict.fromkeys(names), known.spaces, strict=True))
        return new, learned, y, Query(x, p.direction)

    def _remember(self, queries: tuple[Query | None, Query | None]) -> "GaussianMatrix":
        return eqx.tree_at(lambda s: s.queries, self, queries, is_leaf=lambda leaf: leaf is None)

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
        gradient = gradient_of(coefficients, self.queries, self.taps)
        if self.velocity is None:
            if isinstance(momentum, Array) or momentum != 0.0:
                raise InvalidProblem(
                    "update() was given `momentum`, but the matrix keeps no velocity; state "
                    "`momentum=True` in its MatrixSpec."
                )
            return self._moved(gradient, step, decay + step * ridge)
        old = Trained(self.decay, self.core, self.column.moments, self.row.moments)
        velocity = Trained(
            *(
                momentum * v + g - ridge * w
                for v, g, w in zip(self.velocity, gradient, old, strict=True)
            )
        )
        new = self._moved(velocity, step, decay)
        return eqx.tree_at(lambda s: s.velocity, new, velocity)

    def _moved(self, along: Trained, step: Scalar, decay: Scalar) -> "GaussianMatrix":
        """`W <- (1 - decay) W + step V`."""
        new = (
            (1 - decay) * self.decay + step * along.decay,
            (1 - decay) * self.core + step * along.core,
            (1 - decay) * self.column.moments + step * along.column,
            (1 - decay) * self.row.moments + step * along.row,
            (None, None),
        )
        parts = lambda s: (s.decay, s.core, s.column.moments, s.row.moments, s.queries)  # noqa: E731
        return eqx.tree_at(parts, self, new)

    def forget(self) -> "GaussianMatrix":
        """Drop the most recent arguments, so that the state has one structure between steps."""
        return self._remember((None, None))

    def response_overlaps(self) -> tuple[Float[Array, "ry imagesx"], Float[Array, "imagesy rx"]]:
        """`T = <Y, U>` and `T' = <R, X>`: the response functions of recorded directions.

        In orthonormal coordinates; each direction has one image per block, blocks fastest. What is
        not recorded answers too: ask for a smaller tolerance where it matters.
        """
        T = self.row.direction @ self.row.image.T / self.row.recorded.shape[1]
        return T, self.column.image @ self.column.direction.T / self.column.recorded.shape[1]
