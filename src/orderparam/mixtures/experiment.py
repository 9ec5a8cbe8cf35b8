"""The experiment: the classifier fitted to samples of finite dimension, measured exactly."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from orderparam.errors import InvalidProblem, NotConverged
from orderparam.mixtures._checks import counts
from orderparam.mixtures.fits import Classifier, Task, fit
from orderparam.mixtures.glossary import coordinates, one_output, variable
from orderparam.mixtures.losses import HardMargin, Hinge, Square
from orderparam.mixtures.observables import gaussian_errors
from orderparam.mixtures.penalties import CustomPenalty, ElasticNet
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.sampling import Instance, Sample, draw, instance
from orderparam.mixtures.smooth import CustomLoss, Softmax
from orderparam.progress import progress as progress_bar
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution


def simulate_fits(
    problem: MixtureERM,
    dimensions: int | Sequence[int],
    seeds: int | Sequence[int],
    seed: int = 0,
    precision: str = "float64",
    progress: bool = True,
) -> Solution:
    """Fit the classifier to alpha d samples in d dimensions, `seeds` times.

    Means that are random are drawn anew in each run. The test error is computed exactly from the
    fitted weights (Gaussian tails, or 65536 Sobol points for several outputs), not on test samples.

    Args:
        problem: What is fitted.
        dimensions: Dimension d, or several; a multiple of that of explicit matrices.
        seeds: Number of runs, or one number for each dimension.
        seed: Every run is drawn from (seed, dimension, index of the run) alone.
        precision: Named for the other families; fits are made in float64.
        progress: Whether to show a progress bar on a terminal.

    Returns:
        The variables of the theory with leading dimensions `dimension` and `seed`; runs whose fit
        failed are NaN, and `run_valid` is false there.

    Raises:
        InvalidProblem: If an argument is outside its range.

    Cost: one fit for each point, dimension and seed, see `fits.fit`.
    """
    del precision
    sizes = counts("dimension", dimensions)
    runs = counts("seeds", seeds)
    runs = runs * len(sizes) if len(runs) == 1 else runs
    if len(set(sizes)) < len(sizes) or len(runs) != len(sizes):
        raise InvalidProblem(
            f"Give distinct dimensions and one number of seeds for each, not {sizes} and {runs}."
        )
    began = time.perf_counter()
    alphas, _ = problem.points()
    if min(alphas) * min(sizes) < problem.mixture.classes:
        raise InvalidProblem(
            f"alpha = {min(alphas):g} in dimension {min(sizes)} leaves fewer samples than classes; "
            "choose larger ones."
        )
    table: dict[str, np.ndarray] = {}
    valid = np.zeros((len(sizes), max(runs)), dtype=bool)
    failures: list[str] = []
    with progress_bar(sum(runs), "fitting classifiers", progress) as advance:
        for i, (dimension, count) in enumerate(zip(sizes, runs, strict=True)):
            for run in range(count):
                try:
                    measured = _run(problem, dimension, (seed, dimension, run))
                except NotConverged as error:
                    failures.append(f"d = {dimension}, run {run}: {error}")
                    continue
                finally:
                    advance()
                for name, value in measured.items():
                    blank = np.full((*valid.shape, *value.shape), np.nan)
                    table.setdefault(name, blank)[i, run] = value
                valid[i, run] = True
    if not table:
        raise NotConverged(f"No run ended; the first failure: {failures[0]}")
    return _packed(problem, table, valid, sizes, runs, seed, began, failures)


def measure(
    problem: MixtureERM, task: Task, at: Instance, sample: Sample, found: Classifier, alpha: float
) -> dict[str, np.ndarray]:
    """The theory's variables of one fitted classifier."""
    mixture, (W, b) = problem.mixture, found
    d = W.shape[1]
    Q = np.stack([at.times_covariance(W, k) @ W.T / d for k in range(mixture.clusters)])
    m = at.means @ W.T / np.sqrt(d)
    codes = np.array([[-1.0], [1.0]]) if one_output(problem) else np.eye(mixture.classes)
    test = gaussian_errors(m + b, Q, codes)
    label = mixture.labels[sample.cluster]
    z = sample.x @ W.T / np.sqrt(d) + b
    importance = task.class_weights[label]
    train_loss = float(np.mean(importance * losses(task, codes[label], z)))
    penalty = penalty_value(task, W) / d
    measured = {
        "test_error": test.rate(mixture.weights, mixture.labels)[0],
        "train_error": np.mean(np.argmax(z @ codes.T, axis=1) != label),
        "train_loss": train_loss,
        "energy": alpha * train_loss + task.strength * penalty,
        "penalty": penalty,
        "norm": np.sum(W**2) / d,
        "active": np.mean(W != 0),
        "confusion": test.confusion,
        "Q": Q[:, 0, 0] if one_output(problem) else Q,
        "m": m[:, 0] if one_output(problem) else m,
        "b": b[0] if one_output(problem) else b,
    }
    if not isinstance(task.loss, HardMargin | CustomLoss) and one_output(problem):
        measured["test_loss"] = _test_loss(problem, task, (m + b)[:, 0], Q[:, 0, 0])
    return {name: np.asarray(value, dtype=float) for name, value in measured.items()}


def losses(task: Task, code: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The loss of each sample, in NumPy."""
    if isinstance(task.loss, Square):
        return np.sum((code - z) ** 2, axis=-1) / 2
    if isinstance(task.loss, Softmax):
        return np.logaddexp.reduce(z, axis=-1) - np.sum(code * z, axis=-1)
    margin = (code * z)[..., 0]
    if isinstance(task.loss, Hinge):
        return np.maximum(0, 1 - margin)
    if isinstance(task.loss, HardMargin):
        return np.zeros(margin.shape)
    if isinstance(task.loss, CustomLoss):
        return np.asarray(task.loss.fun(code[..., 0], z[..., 0]), dtype=float)
    return np.logaddexp(0, -margin)


def penalty_value(task: Task, W: np.ndarray) -> float:
    """`r(W)`, in NumPy."""
    if isinstance(task.penalty, CustomPenalty):
        return float(np.sum(np.asarray(task.penalty.value(W.ravel()), dtype=float)))
    ratio = task.penalty.l1_ratio if isinstance(task.penalty, ElasticNet) else 0.0
    return float(ratio * np.sum(np.abs(W)) + (1 - ratio) * np.sum(W**2) / 2)


def task_of(problem: MixtureERM, strength: float) -> Task:
    """What is minimised at one point of a problem."""
    return Task(problem.loss, problem.penalty, strength, problem.fit_bias, problem.class_weights)


def _run(problem: MixtureERM, dimension: int, seed: tuple[int, ...]) -> dict[str, np.ndarray]:
    """One run at every point; samples are shared by all strengths at one alpha."""
    generator = np.random.default_rng(seed)
    at = instance(problem.mixture, dimension, generator)
    rows = []
    for alpha in problem.alpha.ravel():
        sample = draw(problem.mixture, at, round(alpha * dimension), generator)
        for strength in problem.strength.ravel():
            task = task_of(problem, float(strength))
            found = fit(task, sample.x, problem.mixture.labels[sample.cluster])
            rows.append(measure(problem, task, at, sample, found, float(alpha)))
    shape = problem.shape
    return {
        name: np.stack([row[name] for row in rows]).reshape((*shape, *rows[0][name].shape))
        for name in rows[0]
    }


def _test_loss(problem: MixtureERM, task: Task, mean: np.ndarray, Q: np.ndarray) -> float:
    """Exact up to quadrature: the mean loss of a fresh sample of one Gaussian output."""
    mixture = problem.mixture
    xi = np.linspace(-9, 9, 2001)
    weight = stats.norm.pdf(xi) / stats.norm.pdf(xi).sum()
    code = (2.0 * mixture.labels - 1)[:, None, None]
    z = mean[:, None] + np.sqrt(Q)[:, None] * xi
    value = losses(task, np.broadcast_to(code, (*z.shape, 1)), z[..., None]) @ weight
    return float(mixture.weights @ (task.class_weights[mixture.labels] * value))


def _packed(
    problem: MixtureERM,
    table: dict[str, np.ndarray],
    valid: np.ndarray,
    sizes: list[int],
    runs: list[int],
    seed: int,
    began: float,
    failures: list[str],
) -> Solution:
    leading = ("dimension", "seed", *problem.dims)
    variables = {n: variable(problem, n, values, None, leading) for n, values in table.items()}
    variables["run_valid"] = Variable(
        ("dimension", "seed"), valid, "whether the fit reached its optimality conditions"
    )
    extra = {
        "dimension": Coordinate(("dimension",), np.array(sizes), "dimension d"),
        "seed": Coordinate(("seed",), np.arange(max(runs)), "run"),
    }
    method: dict[str, Any] = {"name": "fits", "dimension": sizes, "seeds": runs}
    message = f"{int(valid.sum())} runs of {len(problem.points()[0])} fits each."
    return build_solution(
        variables,
        {**coordinates(problem), **extra},
        family=problem.family,
        kind="experiment",
        problem=problem.config(),
        method=method,
        seed=seed,
        verdict=Verdict.NOT_CONVERGED if failures else Verdict.CONVERGED,
        message=" ".join([message, *failures[:3]]),
        diagnostics={"failed_runs": len(failures)},
        precision="float64",
        device="cpu",
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=["loureiro2021"],
    )
