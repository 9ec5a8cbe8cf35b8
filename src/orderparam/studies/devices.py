"""The devices that JAX sees, and the choice of one for a run."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from orderparam.errors import InvalidProblem


def device_names() -> list[str]:
    """Kind and number of every device."""
    return [f"{device.platform}:{device.id} ({device.device_kind})" for device in jax.devices()]


@contextmanager
def on_device(kind: str | None) -> Iterator[None]:
    """Compute on the first device of a kind.

    Args:
        kind: `cpu`, `gpu`, or `None` for JAX's own choice.

    Raises:
        InvalidProblem: If there is no such device.
    """
    if kind is None:
        yield
        return
    try:
        device = jax.devices(kind)[0]
    except RuntimeError:
        raise InvalidProblem(
            f"There is no device of kind {kind!r}; JAX sees {', '.join(device_names())}. Choose "
            "one of these, or install the build of JAX for your device."
        ) from None
    with jax.default_device(device):
        yield
