"""Exact learning curves of generalised linear classifiers on Gaussian mixtures."""

import orderparam.support.quiet_imports  # noqa: F401 (first: others draw random numbers)

# isort: split
from importlib import import_module
from typing import TYPE_CHECKING, Any

from orderparam.mixtures.analysis.decision import best_bias, calibration, roc_curve
from orderparam.mixtures.analysis.sensitivity import optimal_strength, required_alpha, sensitivity
from orderparam.mixtures.evidence.real_data import LearningCurve, learning_curve
from orderparam.mixtures.methods.engine_evolution import EngineEvolution
from orderparam.mixtures.methods.ridge import Ridge
from orderparam.mixtures.methods.saddle import SaddlePoint
from orderparam.mixtures.methods.sampled import SampledWeights
from orderparam.mixtures.methods.state_evolution import StateEvolution
from orderparam.mixtures.methods.two_clusters import TwoClusters
from orderparam.mixtures.model.estimated import digits_features, digits_parity, from_data, power_law
from orderparam.mixtures.model.losses import Hinge, Squared
from orderparam.mixtures.model.mixture import GaussianMixture, gaussian_mixture
from orderparam.mixtures.model.penalties import L1, L2, CustomPenalty, ElasticNet
from orderparam.mixtures.model.smooth import CustomLoss, Logistic, Softmax
from orderparam.mixtures.model.standard import anisotropic, blocks, isotropic
from orderparam.mixtures.passing import MessagePassing
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.shift import CovariateShift
from orderparam.mixtures.theory.bayes import bayes_error, oracle_error
from orderparam.mixtures.theory.separability import separability_threshold
from orderparam.support.arguments import old_name

if TYPE_CHECKING:
    from orderparam.mixtures.analysis.classifier import AsymptoticClassifier

__all__ = [
    "L1",
    "L2",
    "AsymptoticClassifier",
    "CovariateShift",
    "CustomLoss",
    "CustomPenalty",
    "ElasticNet",
    "EngineEvolution",
    "GaussianMixture",
    "Hinge",
    "LearningCurve",
    "Logistic",
    "MessagePassing",
    "MixtureERM",
    "Ridge",
    "SaddlePoint",
    "SampledWeights",
    "Softmax",
    "Squared",
    "StateEvolution",
    "TwoClusters",
    "anisotropic",
    "bayes_error",
    "best_bias",
    "blocks",
    "calibration",
    "digits_features",
    "digits_parity",
    "from_data",
    "gaussian_mixture",
    "isotropic",
    "learning_curve",
    "optimal_strength",
    "oracle_error",
    "power_law",
    "required_alpha",
    "roc_curve",
    "sensitivity",
    "separability_threshold",
]


def __getattr__(name: str) -> Any:
    """Import on first use what needs scikit-learn, which takes a second."""
    if name == "AsymptoticClassifier":
        return import_module("orderparam.mixtures.analysis.classifier").AsymptoticClassifier
    raise old_name("mixtures", name, {"Square": "Squared"})
