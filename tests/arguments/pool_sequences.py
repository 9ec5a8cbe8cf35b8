"""Sequences and arrays of the pool."""

import collections
import fractions
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from odd_values import frozen

Point = collections.namedtuple("Point", "x y")


def _nested(depth: int) -> list[Any]:
    found: list[Any] = [1.0]
    for _ in range(depth):
        found = [found]
    return found


def _circle() -> list[Any]:
    found: list[Any] = [1.0]
    found.append(found)
    return found


def add_sequences(add: Callable[..., None]) -> None:
    """Add them."""
    add(
        "ints reals table",
        list=lambda: [1, 2],
        pair=lambda: (2, 3),
        range=lambda: range(1, 4),
        int_vector=lambda: np.array([1, 2, 3]),
        uint_vector=lambda: np.array([1], dtype=np.uint8),
        mixed_ints=lambda: [1, np.int64(2)],
        jax_vector=lambda: jnp.arange(1, 3),
        repeated=lambda: [1, 1],
        descending=lambda: [5, 2, 1],
        negatives=lambda: [-1, -2],
        zeros=lambda: [0, 0],
        hundred=lambda: list(range(100)),
        point=lambda: Point(1, 2),
    )
    add(
        "reals table",
        floats=lambda: [0.5, 0.5],
        float_tuple=lambda: (0.25,),
        float_vector=lambda: np.array([0.1, 0.9]),
        half_vector=lambda: np.ones(2, np.float16),
        frozen=lambda: frozen([0.5, 1.5]),
        view=lambda: np.arange(6.0)[::-2],
        zero_arrays=lambda: [np.array(0.5), np.array(1.0)],
    )
    add(
        "unsure",
        empty_list=lambda: [],
        empty_tuple=lambda: (),
        empty_vector=lambda: np.array([]),
        fractions=lambda: [fractions.Fraction(1, 2)],
        object_vector=lambda: np.array([1, 2], object),
        deque=lambda: collections.deque([1, 2]),
        user_list=lambda: collections.UserList([1, 2]),
    )
    add(
        "table unsure_empty",
        matrix=lambda: np.eye(2),
        tall=lambda: np.ones((3, 2)),
        nested=lambda: [[1.0, 2.0], [3.0, 4.0]],
        cube=lambda: np.ones((2, 2, 2)),
        jax_matrix=lambda: jnp.eye(2),
        fortran=lambda: np.asfortranarray(np.ones((2, 3))),
        int_matrix=lambda: np.arange(4).reshape(2, 2),
        axes_33=lambda: np.ones((1,) * 33),
    )
    add("unsure", empty_matrix=lambda: np.zeros((0, 2)))
    add("bools", bool_list=lambda: [True, False], bool_vector=lambda: np.array([True, False]))
    add(
        "texts",
        text_list=lambda: ["a", "b"],
        text_vector=lambda: np.array(["1", "2"]),
        numeric_list=lambda: ["1.0", "2.0"],
    )
    add(
        "",
        bool_matrix=lambda: np.ones((2, 2), dtype=bool),
        text_matrix=lambda: np.array([["a"]]),
        ragged=lambda: [[1.0], [1.0, 2.0]],
        nan_list=lambda: [1.0, float("nan")],
        inf_vector=lambda: np.array([np.inf, 1.0]),
        nan_matrix=lambda: np.full((2, 2), np.nan),
        none_list=lambda: [None],
        mixed=lambda: [1, "a"],
        half_true=lambda: [1.0, True],
        huge_list=lambda: [10**400],
        complex_vector=lambda: np.array([1j, 2]),
        dates=lambda: np.array(["2020-01-01"], dtype="M8[D]"),
        objects=lambda: np.array([None, {}]),
        ragged_objects=lambda: np.array([[1], [1, 2]], dtype=object),
        masked=lambda: np.ma.masked_array([1.0, 2.0], [False, True]),
        unmasked=lambda: np.ma.masked_array([1.0, 2.0]),
        masked_matrix=lambda: np.ma.masked_array(np.eye(2)),
        masked_scalar=lambda: np.ma.masked_array(0.5),
        masked_constant=lambda: np.ma.masked,
        structured=lambda: np.zeros(2, dtype=[("a", "f8"), ("b", "i4")]),
        records=lambda: np.rec.array([(1, 2.0)]),
        deep=lambda: _nested(200),
        circle=_circle,
        no_columns=lambda: np.zeros((2, 0)),
        list_of_lists=lambda: [[]],
        bytes_list=lambda: [b"a"],
        beyond_vector=lambda: np.array([1e300, 1.0]),
    )
