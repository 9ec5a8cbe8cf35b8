"""Exact learning curves of generalised linear classifiers on Gaussian mixtures."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from orderparam.mixtures.bayes import bayes_error, oracle_error
from orderparam.mixtures.decision import best_bias, calibration, roc_curve
from orderparam.mixtures.estimated import digits_features, digits_parity, from_data, power_law
from orderparam.mixtures.losses import Hinge, Square
from orderparam.mixtures.mixture import GaussianMixture, gaussian_mixture
from orderparam.mixtures.passing import MessagePassing
from orderparam.mixtures.penalties import L1, L2, CustomPenalty, ElasticNet
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.program import EngineEvolution
from orderparam.mixtures.real_data import LearningCurve, learning_curve
from orderparam.mixtures.ridge import Ridge
from orderparam.mixtures.saddle import SaddlePoint
from orderparam.mixtures.sampled import SampledWeights
from orderparam.mixtures.sensitivity import optimal_strength, required_alpha, sensitivity
from orderparam.mixtures.separability import separability_threshold
from orderparam.mixtures.shift import CovariateShift
from orderparam.mixtures.smooth import CustomLoss, Logistic, Softmax
from orderparam.mixtures.standard import anisotropic, blocks, isotropic
from orderparam.mixtures.state_evolution import StateEvolution
from orderparam.mixtures.two_clusters import TwoClusters

if TYPE_CHECKING:
    from orderparam.mixtures.classifier import AsymptoticClassifier

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
    "Square",
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
        return import_module("orderparam.mixtures.classifier").AsymptoticClassifier
    raise AttributeError(f"module 'orderparam.mixtures' has no attribute {name!r}")
