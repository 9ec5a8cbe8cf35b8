"""Where the alternating scheme starts and what it returns: first guess, draws and saved kernels."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.contract import SavePlan
from orderparam.kernels.methods.alternating_round import Order, Round
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.derived import derived
from orderparam.kernels.theory.diagnosis import FEW_POINTS, rare_errors, relative_biases
from orderparam.kernels.theory.initial import initial_kernels, kernels_at_start
from orderparam.kernels.theory.pack import Trajectory
from orderparam.kernels.theory.tangent import tangent_kernel
from orderparam.results import Verdict

_REMEDIES = {
    "rounds": "To lower it, lower `tolerance`.",
    "sampling": "To lower it, raise `samples` or `replicates`.",
    "draws": "To lower it, raise `samples`: most of it is the bias of a finite number of them.",
    "few points": FEW_POINTS,
}

Observed = Mapping[str, Float[np.ndarray, "..."]]


def count_events(problem: KernelEvolution) -> int:
    """Samples times steps."""
    return (problem.data.count + problem.data.test_count) * problem.steps


def constants(
    problem: KernelEvolution,
    samples: int,
    seed: tuple[int, int],
    response: bool,
    part: slice = slice(None),
) -> Round:
    """Constants of the iteration of one replicate, or of a part of its draws."""
    L, events = problem.network.depth, count_events(problem)
    draws = np.random.default_rng(seed).standard_normal((2, L, samples, events))[:, :, part]
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


def draws_biases(
    problem: KernelEvolution, whole: Observed, halves: Sequence[Observed]
) -> dict[str, Float[np.ndarray, "..."]]:
    """The bias of a finite number S of draws, of order 1/S, of every variable.

    Each half of the draws has twice the bias of all of them, and the mean over both halves has
    their noise up to order 1/S: what it differs by is the bias. At least its root mean square over
    the entries of a time.
    """
    full, parts = derived(problem, whole), [derived(problem, half) for half in halves]
    found = {}
    for name, values in full.items():
        shift = np.abs(np.mean([part[name] for part in parts], axis=0) - values)
        axes = tuple(range(1, shift.ndim))
        found[name] = np.maximum(shift, np.sqrt(np.mean(shift**2, axis=axes, keepdims=True)))
    return found


def relative_size(
    errors: Mapping[str, Float[np.ndarray, "..."]], values: Mapping[str, Float[np.ndarray, "..."]]
) -> float:
    """Largest error, root mean square over entries, in units of the quantity's size."""
    found = [0.0]
    for name in ("f", "Phi", "G", "ntk"):
        size = np.abs(values[name]).max() if name == "f" else np.sqrt(np.mean(values[name] ** 2))
        if size > 0:  # what vanishes is right as it is
            found.append(float(np.sqrt(np.mean(errors[name] ** 2)) / size))
    return max(found)


def judged(errors: Mapping[str, float], tolerance: float, accuracy: float) -> tuple[Verdict, str]:
    """Converged if the rounds are, and all errors together as small as was asked for."""
    change = errors["rounds"]
    message = f"The last round changed the kernels by at most {change:.1e} of their size."
    if change > tolerance:
        return Verdict.NOT_CONVERGED, message
    error = float(np.linalg.norm(list(errors.values())))
    message += f" Error, sampling included: {error:.1e}; asked for: {accuracy:g}."
    if error <= accuracy:
        return Verdict.CONVERGED, message
    return Verdict.ERROR_TOO_LARGE, f"{message} {_REMEDIES[max(errors, key=lambda n: errors[n])]}"


def errors_of(
    problem: KernelEvolution,
    runs: Sequence[Trajectory],
    halves: Sequence[Observed],
    worst: float,
    samples: int,
) -> tuple[dict[str, Float[np.ndarray, "..."]], dict[str, float], list[str]]:
    """Biases of every variable, the sizes of all kinds of errors, and notes."""
    stacked = {n: np.stack([run.observed[n] for run in runs]) for n in runs[0].observed}
    mean = {n: values.mean(axis=0) for n, values in stacked.items()}
    se = {n: v.std(axis=0, ddof=1) / len(runs) ** 0.5 for n, v in stacked.items()}
    biases = draws_biases(problem, runs[0].observed, halves)
    part = np.full(len(mean["f"]), kernels_at_start(problem).active)
    rare, notes = rare_errors(part, samples)
    few = relative_biases(problem, mean, np.hypot(worst, rare))
    known = {n: v.reshape(mean[n].shape) for n, v in biases.items() if n in mean}
    errors = {
        "rounds": worst,
        "sampling": relative_size(se, mean),
        "draws": relative_size(known, mean),
        "few points": float(rare.max()),
    }
    if few is not None:
        biases = {n: np.hypot(bias, few[n]) for n, bias in biases.items()}
    return biases, errors, notes


def changed(new: Array, old: Array) -> float:
    """Largest difference relative to the largest entry; zero where both vanish."""
    size = float(jnp.abs(new).max())
    return float(jnp.abs(new - old).max()) / size if size else float(jnp.abs(old).max())
