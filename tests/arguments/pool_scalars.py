"""Single numbers, truths, texts and paths of the pool."""

import datetime
import decimal
import fractions
import pathlib
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from odd_values import Level, Unprinted, Word, frozen


def add_scalars(add: Callable[..., None]) -> None:
    """Add them."""
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
        frozen_scalar=lambda: frozen(0.1),
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
