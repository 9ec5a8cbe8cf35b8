"""The settings of JAX and NumPy under which the library computes, whatever those of its caller."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax
import numpy as np


@contextmanager
def library_settings(float64: bool = True) -> Iterator[None]:
    """Compute under the library's own settings, and leave the caller's as they are.

    Settings that help to debug one's own code (`jax_debug_nans`, strict promotion, `disable_jit`,
    `numpy.seterr`) would end ours at a number that it handles, and the choice of a generator or
    of a precision would change its numbers. Devices stay the caller's choice.

    Args:
        float64: Compute in double precision.
    """
    scopes = (
        jax.enable_x64(float64),
        jax.default_matmul_precision("highest"),
        jax.default_prng_impl("threefry2x32"),
        jax.threefry_partitionable(True),
        jax.enable_custom_prng(False),
        jax.legacy_prng_key("allow"),
        jax.numpy_rank_promotion("allow"),
        jax.numpy_dtype_promotion("standard"),
        jax.debug_nans(False),
        jax.debug_infs(False),
        jax.disable_jit(False),
        jax.check_tracer_leaks(False),
        jax.transfer_guard("allow"),
        np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
    )
    with ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(scope)
        yield
