"""Where the alternating scheme starts and what it returns: first guess, draws and saved kernels."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.contract import SavePlan
from orderparam.kernels.methods.alternating_round import Order, Round
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.initial import initial_kernels
from orderparam.kernels.theory.tangent import tangent_kernel


def count_events(problem: KernelEvolution) -> int:
    """Samples times steps."""
    return (problem.data.count + problem.data.test_count) * problem.steps


def constants(
    problem: KernelEvolution, samples: int, seed: tuple[int, int], response: bool
) -> Round:
    """Constants of the iteration of one replicate."""
    L, events = problem.network.depth, count_events(problem)
    draws = np.random.default_rng(seed).standard_normal((2, L, samples, events))
    draws = np.stack([np.stack(pair) for pair in zip(*map(_whitened, *draws), strict=True)])
    return Round(
        gram=jnp.asarray(problem.data.gram()),
        y=jnp.asarray(problem.data.y),
        rates=jnp.asarray(problem.rates()),
        gamma0=jnp.asarray(np.asarray(problem.gamma0)),
        variance=jnp.asarray(np.square(problem.network.weight_std)),
        draws=jnp.asarray(draws),
        activation=problem.network.activation,
        response=response,
    )


def _whitened(
    u: Float[np.ndarray, "S event"], r: Float[np.ndarray, "S event"]
) -> tuple[Float[np.ndarray, "S event"], Float[np.ndarray, "S event"]]:
    """Draws of one layer with mean 0 and covariance 1 to rounding, which lowers all noise."""
    joint = np.concatenate([u, r], axis=1)
    joint = joint - joint.mean(axis=0)
    q, triangle = np.linalg.qr(joint)
    joint = q * np.sign(np.diagonal(triangle)) * np.sqrt(len(joint))
    return joint[:, : u.shape[1]], joint[:, u.shape[1] :]


def first_guess(problem: KernelEvolution) -> Order:
    """The first guess: kernels of initialisation, predictions of lazy training, no responses."""
    T, gram = problem.steps, problem.data.gram()
    Phi, G, tangent = initial_kernels(problem.network, gram)[:3]
    f = np.zeros((T, len(gram)))
    P = problem.data.count
    for t in range(T - 1):
        delta = problem.data.y - f[t, :P]
        f[t + 1] = f[t] + problem.rates()[t] / P * tangent[:, :P] @ delta
    zero = np.zeros((len(Phi), count_events(problem), count_events(problem)))
    parts = (np.tile(Phi, (1, T, T)), np.tile(G, (1, T, T)), zero, zero, f)
    return Order(*map(jnp.asarray, parts))


def saved(
    problem: KernelEvolution, order: Order, save: SavePlan
) -> dict[str, Float[np.ndarray, "..."]]:
    """Equal-time quantities at the saved steps."""
    gram, grid = problem.data.gram(), save.grid(problem.steps)
    P, T, L = len(gram), problem.steps, problem.network.depth

    def equal(kernel: Array) -> np.ndarray:
        blocks = np.asarray(kernel).reshape(L, T, P, T, P)
        return np.stack([blocks[:, t, :, t] for t in grid])

    Phi, G = equal(order.Phi), equal(order.G)
    ntk = tangent_kernel(problem.network, gram, Phi, G)
    return {"f": np.asarray(order.f)[grid][..., None], "Phi": Phi, "G": G, "ntk": ntk}
