"""Compiled programs, with the choices of the compiler that make it quick."""

import functools
from collections.abc import Callable
from typing import Any

import jax

_QUICK: dict[str, str | bool] = {"xla_cpu_use_fusion_emitters": False}
"""The older emitter of the compiler for processors: half the time to compile, programs as fast."""


@functools.cache
def quick() -> dict[str, str | bool] | None:
    """Options for `jax.jit` and `compile`, or `None` where this release does not know them."""
    try:
        jax.jit(lambda x: x, compiler_options=_QUICK).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return None
    return dict(_QUICK)


def program(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit` with the options of `quick`, made at the first call."""

    @functools.cache
    def jitted() -> Callable[..., Any]:
        return jax.jit(function, compiler_options=quick())

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return jitted()(*arguments)

    return call
