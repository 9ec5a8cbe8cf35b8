"""Awkward values, each with what it may stand for.

A tag says what a value is: `int`, `real`, `bool`, `text`, `none`, `path`, `function`; `ints`,
`reals`, `bools`, `texts` for sequences and arrays with one axis; `table` for arrays of finite
numbers of any shape; `unsure` where both answers are right. A value without tags is never right,
except as an instance of one of our classes, which its tag then names.
"""

import collections
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from odd_values import Broken, Endless, Odd, Unseen
from pool_scalars import add_scalars
from pool_sequences import add_sequences

import orderparam as op


@dataclass(frozen=True)
class Value:
    """One value of the pool; made afresh for each call."""

    name: str
    make: Callable[[], Any]
    tags: frozenset[str]


def pool() -> list[Value]:
    """All values, in an order that never changes."""
    found: list[Value] = []

    def add(tags: str, **values: Callable[[], Any]) -> None:
        found.extend(Value(n, make, frozenset(tags.split())) for n, make in values.items())

    for part in (add_scalars, add_sequences, _add_objects):
        part(add)
    return found


def _add_objects(add: Callable[..., None]) -> None:
    """Collections without order, functions, types and instances of our classes."""
    add(
        "",
        set=lambda: {1, 2},
        frozenset=lambda: frozenset([0.5]),
        int_dict=lambda: {0: 1.0},
        keys=lambda: {1: 2}.keys(),
        iterator=lambda: iter([1, 2]),
        generator=lambda: (i for i in range(2)),
        zip=lambda: zip([1], [2], strict=True),
    )
    add(
        "function",
        lambda_1=lambda: lambda x: x,
        constant=lambda: lambda *args: 3,
        no_arguments=lambda: lambda: 1,
        failing=lambda: Broken()._fail,
        builtin=lambda: len,
        sine=lambda: jnp.sin,
        exponential=lambda: np.exp,
        texts_out=lambda: lambda *a: "text",
        keyword_only=lambda: lambda *, x: x,
    )
    add(
        "unsure function",
        type=lambda: int,
        class_=lambda: Broken,
        array_type=lambda: np.ndarray,
        problem_class=lambda: op.kernels.MLP,
        error_class=lambda: ValueError,
        abstract=lambda: collections.abc.Sequence,
    )
    add("dict", dict=lambda: {"a": 1})
    add("shapes", mapping=lambda: collections.OrderedDict(a=[1]))
    add("unsure function", broken=Broken)
    add(
        "",
        module=lambda: np,
        package=lambda: op,
        object=object,
        error=lambda: ValueError("x"),
        unseen=Unseen,
        odd=Odd,
        endless=Endless,
        dtype=lambda: np.dtype("f8"),
        slice=lambda: slice(3),
        key=lambda: jax.random.key(0),
    )
    add("Data", data=lambda: op.data.Data([[1.0, 0.0], [0.0, 1.0]], [-1.0, 1.0]))
    add("Network", network=lambda: op.kernels.MLP(1))
    add("SavePlan", plan=lambda: op.SavePlan(steps=2))
    add("Batches", batches=lambda: op.kernels.Batches(1))
    add("Activation function", activation=lambda: op.kernels.scaled_tanh(0.5))
    add("Method Causal", method=lambda: op.kernels.Causal(64, 2))
    add("Method SaddlePoint", saddle=lambda: op.mixtures.SaddlePoint())
    add("Problem MixtureERM", problem=lambda: op.mixtures.MixtureERM(op.mixtures.isotropic(2)))
    add("GaussianMixture", mixture=lambda: op.mixtures.isotropic(3))
    add("Loss", loss=lambda: op.mixtures.Hinge())
    add("Penalty", penalty=lambda: op.mixtures.L1())
    add("Overlaps", overlaps=lambda: op.online.Overlaps([[1.0]], [[0.1]]))
    add("InputSpectrum", spectrum=lambda: op.online.InputSpectrum([1.0]))
    add("RateSchedule", schedule=lambda: op.online.RateSchedule([1.0, 0.5]))
    add("Shape", shape=lambda: op.experts.Shape(64))
    add("Recipe", recipe=lambda: op.experts.Recipe())
    add("Role", role=lambda: op.experts.Role("head"))
