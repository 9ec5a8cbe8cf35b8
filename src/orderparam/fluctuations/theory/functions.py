"""What follows from predictions and kernels at one time, as functions that can be differentiated.

The same quantities as those that networks are measured by; here each is a smooth function of the
base observables `f`, `Phi` and `G`, whatever the depth.

Source: docs/theory/fluctuations.md, Functions of observables, Kernel eigenvalues.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from orderparam.kernels import KernelEvolution, Network, followed, loss_named, tangent_kernel

Observed = dict[str, Float[Any, "..."]]
"""Base observables by name: `f` (sample, output), `Phi` (layer, sample, sample) and `G` (layer,
field, field), fields being samples times outputs; leading axes come before these."""

LEVEL = 1e-10
"""Distance of two eigenvalues, relative to the largest, below which they are one."""


class Functions(eqx.Module):
    """The map from base observables at one time to all variables at that time.

    Axes of samples and outputs are still joined in `G` and `ntk`. Losses and alignments are there
    where the data have the labels; eigenvalues for one output, as those of several come in
    multiplets whose order is a matter of chance.

    Attributes:
        gram: Kernel of the inputs over the samples that are followed.
        y: Labels of the training samples among them, `None` if none is followed.
        y_test: Labels of the others, `None` if unknown.
        network: Its description.
        loss: Name of the loss.
        outputs: Number of outputs.
        paired: Variables whose covariances between times are wanted.
    """

    gram: Float[Array, "sample sample"]
    y: Float[Array, "train output"] | None
    y_test: Float[Array, "test output"] | None
    network: Network = eqx.field(static=True)
    loss: str = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    paired: tuple[str, ...] = eqx.field(static=True, default=())

    def __call__(self, base: Observed) -> Observed:
        """All variables, the base observables included."""
        labels = self.y_test if self.y is None else self.y
        count = len(self.gram) if labels is None else len(labels)
        block = slice(0, count * self.outputs)
        out = dict(base)
        out["ntk"] = tangent_kernel(self.network, self.gram, base["Phi"], base["G"])
        out |= self._losses(base["f"])
        if labels is not None:
            shared = _mean_over_outputs(out["ntk"][block, block], self.outputs)
            out["alignment"] = _alignment(shared, labels)
            Phi = base["Phi"][:, :count, :count]
            out["Phi_alignment"] = jax.vmap(lambda kernel: _alignment(kernel, labels))(Phi)
        if self.outputs == 1:
            out["ntk_eigenvalues"] = eigenvalues(out["ntk"][block, block])
        return out

    def _losses(self, f: Float[Array, "sample output"]) -> Observed:
        loss, out, train = loss_named(self.loss), {}, 0
        if self.y is not None:
            train = len(self.y)
            out["Delta"] = loss.signal(f[:train], self.y)
            out["loss"] = loss.value(f[:train], self.y).mean()
        if self.y_test is not None:
            out["test_loss"] = loss.value(f[train:], self.y_test).mean()
        if self.loss == "squared":
            out |= {n.replace("loss", "mse"): 2 * v for n, v in out.items() if n.endswith("loss")}
        return out


def functions_of(evolution: KernelEvolution, paired: tuple[str, ...] = ()) -> Functions:
    """The functions of a problem, of any depth; `paired` is an attribute of `Functions`."""
    data, inputs = evolution.data, followed(evolution)
    y_test = None if data.y_test is None else data.y_test.reshape(data.test_count, -1)
    return Functions(
        gram=jnp.asarray(inputs @ inputs.T / data.dimension),
        y=None if evolution.one_pass else jnp.asarray(data.targets()),
        y_test=None if y_test is None else jnp.asarray(y_test),
        network=evolution.network,
        loss=evolution.loss,
        outputs=data.outputs,
        paired=paired,
    )


def _mean_over_outputs(
    kernel: Float[Array, "field field"], outputs: int
) -> Float[Array, "sample sample"]:
    samples = len(kernel) // outputs
    split = kernel.reshape(samples, outputs, samples, outputs)
    return jnp.einsum("icjc->ij", split) / outputs


def _alignment(
    kernel: Float[Array, "sample sample"], y: Float[Array, "sample output"]
) -> Float[Array, ""]:
    """Tr(Y^T K Y) / (|K|_F |Y Y^T|_F), 0 where that is undefined."""
    size = jnp.sqrt(jnp.sum(kernel**2)) * jnp.sqrt(jnp.sum((y @ y.T) ** 2))
    return jnp.where(size > 0, jnp.sum(y * (kernel @ y)) / jnp.where(size > 0, size, 1.0), 0.0)


def eigenvalues(kernel: Float[Array, "row row"]) -> Float[Array, " row"]:
    """Eigenvalues, largest first, with first and second derivatives by perturbation theory.

    lambda_k + v_k^T dK v_k + sum_{m != k} (v_k^T dK v_m)^2 / (lambda_k - lambda_m)

    The last is level repulsion, left out between eigenvalues that are equal to rounding.
    """
    origin = lax.stop_gradient(kernel)
    value, vector = jnp.linalg.eigh(origin)
    move = vector.T @ (kernel - origin) @ vector
    gap = value[:, None] - value[None, :]
    apart = jnp.abs(gap) > LEVEL * jnp.abs(value).max()
    repulsion = jnp.where(apart, move**2 / jnp.where(apart, gap, 1.0), 0.0).sum(axis=1)
    return (value + jnp.diagonal(move) + repulsion)[::-1]
