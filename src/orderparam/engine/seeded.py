"""Spaces whose inner product can be differentiated: what one neuron, or one seed, contributes.

A network of width N is a system of particles: a neuron's seeds are its independent standard
normals, and everything that happens to it follows from its own seeds and from averages over the
neurons of its layer and its neighbours. Here seeds are given once and in order. They are not made
orthogonal to all that is known, as those of a sampled space are: that a finite network's seeds
have products with it is part of what makes it scatter, and a derivative must see it.

Source: docs/theory/engine.md, Seeded spaces.
"""

import abc
from typing import Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine.normals import BLOCK, draw_normals
from orderparam.engine.space import KnownSpace


class SeededSpace(KnownSpace):
    """A space with a list of seeds and an inner product that depends on parameters."""

    size: Int[Array, ""]
    drawn: Int[Array, ""]
    overflow: Bool[Array, ""]

    @abc.abstractmethod
    def seeds(self, count: int) -> Float[Array, "k n"]:
        """The next `count` seeds, which are not drawn by this."""

    def told(self, count: Int[Array, ""] | int) -> Self:
        """The space that has drawn `count` more of its seeds."""
        drawn = self.drawn + count
        new = (self.size + count, drawn, self.overflow | (drawn > self.capacity))
        return eqx.tree_at(lambda s: (s.size, s.drawn, s.overflow), self, new)

    def normals(self, count: int) -> tuple[Self, Float[Array, "k n"]]:
        """Draw seeds."""
        return self.told(count), self.seeds(count)


class ParticleSpace(SeededSpace):
    """S particles with weights: `<x, y> = sum_s w_s x_s y_s`, and w_s = 1/S unless differentiated.

    With independent seeds a program runs as S actual neurons do, exactly and at any S. With
    scrambled Sobol seeds its averages are those of the limit up to an error of order 1/S.

    Attributes:
        weights: w.
        pool: The seeds.
        seed: Integers that name the space and the replicate; none if the seeds were given.
    """

    weights: Float[Array, " S"]
    pool: Float[Array, "seeds S"]
    seed: Int[Array, " word"]  # no static field: sets of particles share their programs

    @classmethod
    def create(cls, samples: int, room: int, seed: tuple[int, ...]) -> "ParticleSpace":
        """A fresh space with scrambled Sobol seeds; `room` is rounded up to blocks of 64.

        Args:
            samples: Particles S, a power of two.
            room: Seeds that there are.
            seed: Integers that name the space and the replicate.
        """
        pool = _whitened(draw_normals(seed, 0, -(-room // BLOCK) * BLOCK, samples))
        return cls.of(pool, seed)

    @classmethod
    def of(
        cls, pool: Float[np.ndarray | Array, "seeds S"], seed: tuple[int, ...] = ()
    ) -> "ParticleSpace":
        """A fresh space with given seeds."""
        samples = pool.shape[1]
        uniform = jnp.asarray(np.full(samples, 1 / samples))
        words = jnp.asarray(np.asarray(seed, dtype=np.int64))
        return cls(*_counters(), uniform, jnp.asarray(pool), words)

    @property
    def capacity(self) -> int:
        """Number of seeds."""
        return self.pool.shape[0]

    @property
    def points(self) -> int:
        """Number of particles S."""
        return self.pool.shape[1]

    def inner(self, x: Float[Array, "k S"], y: Float[Array, "j S"]) -> Float[Array, "k j"]:
        """Weighted averages over particles of all products of two blocks of vectors."""
        return (x * self.weights) @ y.T

    def seeds(self, count: int) -> Float[Array, "k S"]:
        """The next rows of the pool; where it is empty, rows of zeros."""
        index = self.drawn + jnp.arange(count)
        return jnp.where((index < self.capacity)[:, None], self.pool[index % self.capacity], 0.0)

    def grow(self) -> Self:
        """The same space with twice as many seeds (host side)."""
        seed = tuple(int(word) for word in self.seed)
        if not seed:
            raise ValueError("the seeds of this space were given; give more of them")
        more = draw_normals(seed, self.capacity, 2 * self.capacity, self.points)
        pool = jnp.concatenate([self.pool, jnp.asarray(_whitened(more))])
        return eqx.tree_at(lambda s: s.pool, self, pool)


class CoefficientSpace(SeededSpace):
    """The space of a linear program: a vector is its coefficients on the seeds.

    `<x, y> = x S y^T` with S the Gram matrix of the seeds: the identity in the limit, and for N
    neurons (1/N) sum_i zeta_i zeta_i^T, which has a Wishart law. So a deep linear network of any
    width is one matrix S for each layer.

    Attributes:
        gram: S.
    """

    gram: Float[Array, "seeds seeds"]

    @classmethod
    def of(cls, gram: Float[np.ndarray | Array, "seeds seeds"]) -> "CoefficientSpace":
        """A fresh space whose seeds have a given Gram matrix."""
        return cls(*_counters(), jnp.asarray(gram))

    @property
    def capacity(self) -> int:
        """Number of seeds."""
        return self.gram.shape[0]

    @property
    def points(self) -> int:
        """Number of coefficients."""
        return self.gram.shape[0]

    def inner(self, x: Float[Array, "k n"], y: Float[Array, "j n"]) -> Float[Array, "k j"]:
        """Products of two blocks of vectors, by the Gram matrix of the seeds."""
        return x @ self.gram @ y.T

    def seeds(self, count: int) -> Float[Array, "k n"]:
        """The next unit vectors."""
        at = self.drawn + jnp.arange(count)
        return jnp.where(at[:, None] == jnp.arange(self.capacity), 1.0, 0.0)

    def grow(self) -> Self:
        """The same space with twice as many seeds, the new ones as in the limit (host side)."""
        more = self.capacity
        gram = jnp.pad(self.gram, (0, more)) + jnp.diag(jnp.repeat(jnp.asarray([0.0, 1.0]), more))
        return eqx.tree_at(lambda s: s.gram, self, gram)


def _counters() -> tuple[Array, Array, Array]:
    zero = jnp.asarray(np.asarray(0))
    return zero, zero, jnp.asarray(np.asarray(False))


def _whitened(z: Float[np.ndarray, "k S"]) -> Float[np.ndarray, "k S"]:
    """Mean 0 and covariance 1 on the points, which only lowers the error of averages."""
    z = z - z.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(z @ z.T / z.shape[1])
    return ((vectors / np.sqrt(values)) @ vectors.T) @ z
