"""A finite realisation of the same interface: actual vectors and actual random matrices."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from orderparam.engine.matrix import Scalar
from orderparam.engine.space import Space
from orderparam.engine.taps import PLAIN, Taps, adjoint, gathered
from orderparam.engine.training import weighted
from orderparam.errors import InvalidProblem


class FiniteSpace(Space):
    """Vectors with `points` actual coordinates; the inner product is the average over them."""

    key: Key[Array, ""]
    points: int = eqx.field(static=True)

    def inner(self, x: Float[Array, "k n"], y: Float[Array, "j n"]) -> Float[Array, "k j"]:
        """Averages over coordinates of all products of two blocks of vectors."""
        return x @ y.T / self.points

    def normals(self, count: int) -> tuple["FiniteSpace", Float[Array, "k n"]]:
        """Draw `count` vectors of independent standard normals."""
        key, draw = jax.random.split(self.key)
        new = eqx.tree_at(lambda s: s.key, self, key)
        return new, jax.random.normal(draw, (count, self.points))


class FiniteMatrix(eqx.Module):
    """Actual n x m blocks with iid N(0, variance/m) entries and the verbs of a conditioned matrix.

    The product, the transpose and the update cost O(k n m); nothing is approximated, so one program
    text runs as theory with `GaussianMatrix` and as experiment with this class.
    """

    names: tuple[str, str] = eqx.field(static=True)
    taps: Taps = eqx.field(static=True)
    weight: Float[Array, "block n m"]
    velocity: Float[Array, "block n m"]
    queries: tuple[Float[Array, "k n"] | None, Float[Array, "k m"] | None]

    @classmethod
    def create(
        cls,
        names: tuple[str, str],
        shape: tuple[int, int],
        variance: float,
        key: Key[Array, ""],
        taps: Taps = PLAIN,
    ) -> "FiniteMatrix":
        """Draw the blocks."""
        weight = jax.random.normal(key, (len(taps), *shape)) * (variance / shape[1]) ** 0.5
        return cls(names, taps, weight, jnp.zeros_like(weight), (None, None))

    def mv(
        self, spaces: Mapping[str, FiniteSpace], x: Float[Array, "k m"]
    ) -> tuple["FiniteMatrix", dict[str, FiniteSpace], Float[Array, "k n"]]:
        """`W x` for each vector of the block."""
        del spaces
        y = self._apply(x, self.taps, "kmb,bnm->kn")
        return self._remember((self.queries[0], x)), {}, y

    def rmv(
        self, spaces: Mapping[str, FiniteSpace], y: Float[Array, "k n"]
    ) -> tuple["FiniteMatrix", dict[str, FiniteSpace], Float[Array, "k m"]]:
        """`W^T y` for each vector of the block."""
        del spaces
        x = self._apply(y, adjoint(self.taps), "knb,bnm->km")
        return self._remember((y, self.queries[1])), {}, x

    def _apply(self, x: Float[Array, "k n"], taps: Taps, product: str) -> Float[Array, "k m"]:
        return jnp.einsum(product, gathered(x[:, :, None], taps), self.weight)

    def _remember(self, queries: tuple[Array | None, Array | None]) -> "FiniteMatrix":
        return eqx.tree_at(lambda s: s.queries, self, queries, is_leaf=lambda leaf: leaf is None)

    def update(
        self,
        coefficients: Float[Array, " k"] | Float[Array, "j k"],
        step: Scalar = 1.0,
        decay: Scalar = 0.0,
        momentum: Scalar = 0.0,
        ridge: Scalar = 0.0,
    ) -> "FiniteMatrix":
        """One training step, as `GaussianMatrix.update`."""
        y, x = self.queries
        if x is None or y is None:
            raise InvalidProblem(
                "update() needs one mv() and one rmv() since the last update(); call both first."
            )
        seen = gathered(x[:, :, None], self.taps)
        seen = weighted(coefficients, seen.reshape(len(x), -1)).reshape(-1, *seen.shape[1:])
        gradient = jnp.einsum("jn,jmb->bnm", y, seen) / self.weight.shape[2]
        velocity = momentum * self.velocity + gradient - ridge * self.weight
        weight = (1 - decay) * self.weight + step * velocity
        new = (weight, velocity, (None, None))
        return eqx.tree_at(lambda s: (s.weight, s.velocity, s.queries), self, new)

    def forget(self) -> "FiniteMatrix":
        """Drop the most recent arguments, so that the state has one structure between steps."""
        return eqx.tree_at(lambda s: s.queries, self, (None, None))
