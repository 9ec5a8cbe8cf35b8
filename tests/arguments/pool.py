"""Awkward values, each with what it may stand for.

A tag says what a value is: `int`, `real`, `bool`, `text`, `none`, `path`, `function`; `ints`,
`reals`, `bools`, `texts` for sequences and arrays with one axis; `table` for arrays of finite
numbers of any shape; `unsure` where both answers are right. A value without tags is never right,
except as an instance of one of our classes, which its tag then names.
"""

import collections
import datetime
import decimal
import enum
import fractions
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import orderparam as op


@dataclass(frozen=True)
class Value:
    """One value of the pool; made afresh for each call."""

    name: str
    make: Callable[[], Any]
    tags: frozenset[str]


class Broken:
    """Every conversion and every look at it fails."""

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("broken")

    __repr__ = __str__ = __len__ = __float__ = __int__ = __index__ = __bool__ = _fail
    __array__ = __iter__ = __call__ = __eq__ = __fspath__ = __getitem__ = _fail
    __hash__ = object.__hash__


class Unseen:
    """A value whose attributes cannot be asked for."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class Unprinted(float):
    """A number that cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError("not to be shown")


class Odd:
    """A value that becomes an array of the wrong kind."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(["a", "b"])

    def __len__(self) -> int:
        return 2


class Endless:
    """A sequence that claims to be longer than memory."""

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, index: int) -> float:
        raise IndexError(index)


class Level(enum.IntEnum):
    """Integers with names."""

    LOW = 3


class Word(str):
    """A text of a type of its own."""


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


def _frozen(value: Any) -> np.ndarray:
    array = np.array(value)
    array.flags.writeable = False
    return array


def pool() -> list[Value]:
    """All values, in an order that never changes."""
    found: list[Value] = []

    def add(tags: str, **values: Callable[[], Any]) -> None:
        found.extend(Value(n, make, frozenset(tags.split())) for n, make in values.items())

    add(
        "int real table unsure_array",
        int_2=lambda: 2,
        zero=lambda: 0,
        negative=lambda: -3,
        int_1=lambda: 1,
        int_64=lambda: 64,
        int8=lambda: np.int8(3),
        int32=lambda: np.int32(2),
        int64=lambda: np.int64(4),
        uint8=lambda: np.uint8(1),
        uint64=lambda: np.uint64(2),
        uint_top=lambda: np.uint64(2**64 - 1),
        int_array=lambda: np.array(3),
        int16_array=lambda: np.array(-1, dtype=np.int16),
        jax_int=lambda: jnp.asarray(2),
        huge_exact=lambda: 2**53,
        trillion=lambda: 10**12,
        above_exact=lambda: 2**53 + 1,
        int64_low=lambda: np.int64(-(2**63)),
        enum=lambda: Level.LOW,
    )
    add(
        "real table",
        half=lambda: 0.5,
        one_point=lambda: 1.0,
        float_negative=lambda: -0.25,
        minus_zero=lambda: -0.0,
        tiny=lambda: 5e-324,
        small=lambda: 1e-12,
        large=lambda: 1e99,
        float32=lambda: np.float32(0.3),
        float16=lambda: np.float16(0.5),
        float64=lambda: np.float64(2.5),
        longdouble=lambda: np.longdouble("0.7"),
        float_array=lambda: np.array(0.5),
        float32_array=lambda: np.array(2.0, dtype=np.float32),
        jax_float=lambda: jnp.asarray(0.5),
        frozen_scalar=lambda: _frozen(0.1),
    )
    add(
        "unsure real",
        fraction=lambda: fractions.Fraction(1, 2),
        unprinted=lambda: Unprinted(0.5),
        object_scalar=lambda: np.array(0.5, dtype=object),
    )
    add(
        "bool",
        true=lambda: True,
        false=lambda: False,
        numpy_true=lambda: np.bool_(True),
        numpy_false=lambda: np.False_,
        bool_array=lambda: np.array(False),
        jax_bool=lambda: jnp.asarray(True),
    )
    add("none", none=lambda: None)
    add(
        "",
        nan=lambda: float("nan"),
        inf=lambda: float("inf"),
        minus_inf=lambda: -float("inf"),
        nan32=lambda: np.float32("nan"),
        inf_array=lambda: np.array(np.inf),
        jax_nan=lambda: jnp.asarray(jnp.nan),
        long_inf=lambda: np.longdouble("1e4000"),
        beyond=lambda: 1e308,
        huge=lambda: 10**400,
        huge_negative=lambda: -(10**400),
        huge_fraction=lambda: fractions.Fraction(10**400),
        signal=lambda: np.array(-np.nan),
    )
    add(
        "",
        imaginary=lambda: 1j,
        real_complex=lambda: 1 + 0j,
        complex64=lambda: np.complex64(1),
        decimal=lambda: decimal.Decimal("0.5"),
        decimal_nan=lambda: decimal.Decimal("sNaN"),
        date=lambda: datetime.date(2020, 1, 1),
        delta=lambda: datetime.timedelta(3),
        datetime64=lambda: np.datetime64("2020-01-01"),
        timedelta64=lambda: np.timedelta64(3, "ns"),
        plain_delta=lambda: np.timedelta64(2),
        not_a_time=lambda: np.datetime64("NaT"),
        delta_array=lambda: np.array(3, dtype="m8[ns]"),
        void=lambda: np.void(b"abc"),
        record=lambda: np.array((1, 2.0), dtype="i4,f8"),
        ellipsis=lambda: ...,
        not_implemented=lambda: NotImplemented,
    )
    add(
        "text path",
        word=lambda: "tanh",
        numeric=lambda: "1.0",
        integer_text=lambda: "3",
        nan_text=lambda: "nan",
        true_text=lambda: "true",
        none_text=lambda: "None",
        long_text=lambda: "x" * 5000,
        unicode=lambda: "Φ⁰₁ ∂λ",
        surrogate=lambda: "\ud800",
        newline=lambda: "two\nlines",
        braces=lambda: "{0} %s {",
        word_type=lambda: Word("linear"),
        numpy_text=lambda: np.str_("erf"),
        text_array=lambda: np.array("relu"),
        parent=lambda: "../..",
        pattern=lambda: "[(*+",
    )
    add("unsure text", null=lambda: "a\0b", space=lambda: " ")
    add(
        "",
        empty_text=lambda: "",
        bytes=lambda: b"linear",
        no_bytes=lambda: b"",
        bytearray=lambda: bytearray(b"ab"),
        memory=lambda: memoryview(b"ab"),
        numpy_bytes=lambda: np.bytes_(b"erf"),
    )
    add(
        "path",
        path=lambda: pathlib.Path("no/such/folder"),
        root=lambda: pathlib.Path("/"),
        pure=lambda: pathlib.PurePosixPath("x.npz"),
        table_file=lambda: pathlib.Path("x.csv"),
    )
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
        frozen=lambda: _frozen([0.5, 1.5]),
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
    return found
