"""Mixtures: each constructor and function with a call that works."""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from case import Case

import orderparam as op


@functools.cache
def mixture() -> Any:
    """Two opposite clusters."""
    return op.mixtures.blocks((0.5,))


@functools.cache
def classifier() -> Any:
    """Ridge regression on them."""
    return op.mixtures.MixtureERM(mixture(), "squared", strength=0.5, alpha=2.0)


@functools.cache
def learned() -> Any:
    """A solved problem."""
    problem = op.mixtures.MixtureERM(mixture(), "logistic", strength=0.5, alpha=2.0)
    return op.solve(problem, progress=False)


def mixture_cases() -> list[Case]:
    """Mixtures, losses, problems, methods and what follows from solutions."""
    m = op.mixtures
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)) + 0.1, np.arange(60) % 2
    erm = {"mixture": mixture(), "strength": 0.5, "alpha": 2.0}
    many = dict.fromkeys(("strength", "alpha", "class_weights", "weights"), "real reals ints")
    many |= {"class_weights": "reals ints none", "penalty": "text table Penalty"}
    shift = {"training_weights": [0.5, 0.5], "test_weights": [0.3, 0.7]}
    table = {"X": "table", "y": "ints reals bools texts", "clusters": "ints reals bools texts none"}
    means = {"means": "table", "covariances": "real reals table"}
    shares = dict.fromkeys(("training_weights", "test_weights"), "reals ints")
    return [
        Case("mixtures.Squared", m.Squared),
        Case("mixtures.ElasticNet", m.ElasticNet),
        Case(
            "mixtures.CustomLoss",
            m.CustomLoss,
            {"fun": lambda y, z: jnp.logaddexp(0.0, -y * z)},
            dear=20,
        ),
        Case(
            "mixtures.CustomPenalty",
            m.CustomPenalty,
            {"value": lambda w: w**2 / 2, "prox": lambda B, A, strength: B / (A + strength)},
            dear=5,
        ),
        Case("mixtures.isotropic", m.isotropic, {"clusters": 3}),
        Case("mixtures.anisotropic", m.anisotropic, {"dimension": 4}),
        Case("mixtures.blocks", m.blocks, {"variances": (0.5, 1.0), "fractions": (0.25, 0.75)}),
        Case("mixtures.power_law", m.power_law, {"dimension": 5}),
        Case("mixtures.digits_parity", m.digits_parity),
        Case("mixtures.from_data", m.from_data, {"X": X, "y": y}, accepts=table),
        Case(
            "mixtures.gaussian_mixture",
            m.gaussian_mixture,
            {"means": np.eye(2, 3), "covariances": 0.5, "weights": [0.5, 0.5], "labels": [0, 1]},
            accepts={**means, "weights": "reals ints none", "labels": "ints none"},
        ),
        Case(
            "mixtures.GaussianMixture",
            m.GaussianMixture,
            {"spectrum": mixture().spectrum},
            accepts={"weights": "reals ints none", "labels": "ints none"},
        ),
        Case("mixtures.MixtureERM", m.MixtureERM, erm, accepts=many),
        Case("mixtures.MessagePassing", m.MessagePassing, erm, accepts=many),
        Case(
            "mixtures.CovariateShift",
            m.CovariateShift,
            {**erm, **shift},
            accepts={**many, **shares},
        ),
        Case("mixtures.SaddlePoint", m.SaddlePoint),
        Case("mixtures.SampledWeights", m.SampledWeights, {"draws": 64}),
        Case("mixtures.StateEvolution", m.StateEvolution),
        Case("mixtures.EngineEvolution", m.EngineEvolution),
        Case(
            "mixtures.LearningCurve",
            m.LearningCurve,
            {"theory": learned(), "real": {}, "surrogate": {}},
            holds=True,
        ),
        Case(
            "mixtures.AsymptoticClassifier",
            _fitted,
            _SETTINGS,
            dear=12,
            accepts={
                "loss": "text Loss",
                "penalty": "text table Penalty",
                "strength": "real",
                "fit_bias": "bool",
                "shrinkage": "real",
            },
        ),
        Case("mixtures.bayes_error", m.bayes_error, {"mixture": mixture(), "alpha": 2.0}),
        Case("mixtures.oracle_error", m.oracle_error, {"mixture": mixture()}),
        Case("mixtures.separability_threshold", m.separability_threshold, {"mixture": mixture()}),
        Case("mixtures.best_bias", m.best_bias, {"solution": learned()}),
        Case("mixtures.calibration", m.calibration, {"solution": learned()}),
        Case("mixtures.roc_curve", m.roc_curve, {"solution": learned()}),
        Case("mixtures.optimal_strength", m.optimal_strength, {"problem": classifier()}, dear=90),
        Case(
            "mixtures.required_alpha",
            m.required_alpha,
            {"problem": classifier(), "target_error": 0.1},
            dear=60,
        ),
        Case("mixtures.sensitivity", m.sensitivity, {"problem": classifier()}, dear=60),
        Case(
            "mixtures.learning_curve",
            m.learning_curve,
            {"X": X, "y": y, "loss": "squared", "alphas": (2.0,), "splits": 2},
            dear=90,
            accepts={**table, "penalty": "text table Penalty"},
        ),
    ]


_SETTINGS = {
    "loss": "squared",
    "penalty": "l2",
    "strength": 0.1,
    "fit_bias": True,
    "shrinkage": 0.0,
}


def _fitted(**settings: Any) -> Any:
    """The classifier checks its settings where scikit-learn wants it: when it is fitted.

    Samples and labels are checked by scikit-learn, with its own messages.
    """
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)) + 0.1, np.arange(60) % 2
    return op.mixtures.AsymptoticClassifier(**settings).fit(X, y)
