"""Learning curves of a dataset: theory from its moments, beside splits of the data itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from orderparam.errors import InvalidProblem
from orderparam.mixtures.evidence.figures import real_data_figure
from orderparam.mixtures.experiment.fits import fit
from orderparam.mixtures.experiment.measured import losses, measure
from orderparam.mixtures.experiment.simulate import task_of
from orderparam.mixtures.glossary import one_output
from orderparam.mixtures.methods.default import default_method
from orderparam.mixtures.model.estimated import from_data
from orderparam.mixtures.model.losses import Loss
from orderparam.mixtures.model.penalties import Penalty
from orderparam.mixtures.model.sampling import draw, instance
from orderparam.mixtures.problem import MixtureERM
from orderparam.results import Solution
from orderparam.support.arguments import at_least_zero, integer, positive, reals
from orderparam.support.arrays import Numbers, class_numbers, matrix
from orderparam.support.keywords import known_keywords
from orderparam.support.later import Figure

MEASURED = ("test_error", "train_error", "train_loss")


@dataclass(frozen=True)
class LearningCurve:
    """Theory, Gaussian surrogate and real data along the number of samples per dimension.

    A gap between theory and surrogate is a finite-size effect; one between surrogate and real data
    says that the data are no Gaussian mixture.

    Attributes:
        theory: Solution of `MixtureERM` on the estimated mixture, with dimension `alpha`.
        real: `test_error`, `train_error`, `train_loss` of each split and alpha.
        surrogate: The same for fits to Gaussian samples with the moments of the data.
    """

    theory: Solution
    real: dict[str, Float[np.ndarray, "split alpha"]]
    surrogate: dict[str, Float[np.ndarray, "split alpha"]]

    def table(self, name: str = "test_error") -> Float[np.ndarray, "alpha column"]:
        """Columns: alpha, theory, surrogate and its standard error, real and its error."""
        columns = [self.theory["alpha"].values, self.theory[name].values]
        for source in (self.surrogate, self.real):
            values = source[name]
            columns += [values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))]
        return np.stack(columns, axis=1)

    def plot(self) -> Figure:
        """Test and train errors of all three on the same axes."""
        return real_data_figure(self.theory, self.surrogate, self.real)


@known_keywords
def learning_curve(
    X: Numbers,
    y: ArrayLike,
    *,
    loss: str | Loss = "logistic",
    penalty: str | Penalty = "l2",
    strength: float = 0.1,
    alphas: Sequence[float] = (1.0, 2.0, 4.0, 8.0),
    splits: int = 10,
    clusters: ArrayLike | None = None,
    shrinkage: float = 0.0,
    seed: int = 0,
) -> LearningCurve:
    """Predict learning curves from means and covariances, and measure them by random splits.

    Args:
        X: Samples, one row each, with features of order 1.
        y: Class of each sample.
        loss: Loss, as in `MixtureERM`.
        penalty: Penalty; l1 and elastic nets take up to 1000 features, by averages over draws.
        strength: Strength of the penalty, on features divided by sqrt(d) and a sum of losses.
        alphas: Training samples per dimension; fewer than all samples.
        splits: Random splits, and Gaussian surrogates, at each alpha.
        clusters: Finer clusters of the Gaussian mixture.
        shrinkage: As in `from_data`.
        seed: Of splits and surrogates.

    Raises:
        InvalidProblem: If an argument is outside its range, or a training set would leave too few
            samples to test on.
        UnsupportedCombination: For a custom penalty, which is solved for diagonal covariances
            alone.

    Cost: one theory point and `2 * splits` fits for each alpha.

    Source: docs/theory/mixtures.md, Real data.
    """
    data = matrix("X", X)
    strength = at_least_zero("strength", strength)
    rounds = integer("splits", splits, 2, advice="errors need several splits to have errors")
    seed = integer("seed", seed, 0)
    wanted = reals("alphas", alphas, positive)
    mixture = from_data(data, y, clusters, shrinkage)
    problem = MixtureERM(mixture, loss, penalty, strength, wanted)
    dimension = data.shape[1]
    largest, smallest = (round(alpha * dimension) for alpha in (max(wanted), min(wanted)))
    if smallest < problem.mixture.classes:
        raise InvalidProblem(
            f"Argument `alphas` has {min(wanted):g}, which leaves {smallest} samples for "
            f"{problem.mixture.classes} classes; use larger `alphas`."
        )
    if largest > 0.9 * len(data):
        raise InvalidProblem(
            f"Argument `alphas` has {max(wanted):g}, which asks for {largest} of {len(data)} "
            "samples, but a tenth is needed to test; use `alphas` below "
            f"{0.9 * len(data) / dimension:.3g}."
        )
    theory = default_method(problem).run(problem)
    label = class_numbers("y", y, len(data))
    centred = data - data.mean(axis=0)
    real = [_split(problem, centred, label, (seed, 0, r)) for r in range(rounds)]
    made = [_surrogate(problem, dimension, (seed, 1, r)) for r in range(rounds)]
    return LearningCurve(theory, _stacked(real), _stacked(made))


def _split(
    problem: MixtureERM,
    X: Float[np.ndarray, "sample dimension"],
    label: Int[np.ndarray, " sample"],
    seed: tuple[int, ...],
) -> list[tuple[float, ...]]:
    """One random order of the data; the first samples train, the others test."""
    order = np.random.default_rng(seed).permutation(len(X))
    task, root = task_of(problem, float(problem.strength)), np.sqrt(X.shape[1])
    codes = np.array([[-1.0], [1.0]]) if one_output(problem) else np.eye(problem.mixture.classes)
    rows = []
    for alpha in problem.alpha:
        count = round(alpha * X.shape[1])
        train, test = order[:count], order[count:]
        found = fit(task, X[train], label[train])
        outputs = [X[part] @ found.W.T / root + found.b for part in (test, train)]
        decided = [np.argmax(z @ codes.T, axis=1) for z in outputs]
        rows.append(
            (
                float(np.mean(decided[0] != label[test])),
                float(np.mean(decided[1] != label[train])),
                float(np.mean(losses(task, codes[label[train]], outputs[1]))),
            )
        )
    return rows


def _surrogate(
    problem: MixtureERM, dimension: int, seed: tuple[int, ...]
) -> list[tuple[float, ...]]:
    """The same sizes with Gaussian samples."""
    generator = np.random.default_rng(seed)
    at = instance(problem.mixture, dimension, generator)
    task = task_of(problem, float(problem.strength))
    rows = []
    for alpha in problem.alpha:
        sample = draw(problem.mixture, at, round(alpha * dimension), generator)
        found = fit(task, sample.x, problem.mixture.labels[sample.cluster])
        measured = measure(problem, task, at, sample, found, float(alpha))
        rows.append(tuple(float(measured[name]) for name in MEASURED))
    return rows


def _stacked(runs: list[list[tuple[float, ...]]]) -> dict[str, Float[np.ndarray, "split alpha"]]:
    values = np.array(runs)
    return {name: values[:, :, i] for i, name in enumerate(MEASURED)}
