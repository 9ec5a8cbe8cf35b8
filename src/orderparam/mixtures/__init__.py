"""Exact learning curves of generalised linear classifiers on Gaussian mixtures."""

from orderparam.mixtures.bayes import bayes_error, oracle_error
from orderparam.mixtures.losses import Hinge, Square
from orderparam.mixtures.mixture import GaussianMixture, gaussian_mixture
from orderparam.mixtures.penalties import L1, L2, CustomPenalty, ElasticNet
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.ridge import Ridge
from orderparam.mixtures.saddle import SaddlePoint
from orderparam.mixtures.separability import separability_threshold
from orderparam.mixtures.smooth import CustomLoss, Logistic, Softmax
from orderparam.mixtures.standard import blocks, isotropic
from orderparam.mixtures.two_clusters import TwoClusters

__all__ = [
    "L1",
    "L2",
    "CustomLoss",
    "CustomPenalty",
    "ElasticNet",
    "GaussianMixture",
    "Hinge",
    "Logistic",
    "MixtureERM",
    "Ridge",
    "SaddlePoint",
    "Softmax",
    "Square",
    "TwoClusters",
    "bayes_error",
    "blocks",
    "gaussian_mixture",
    "isotropic",
    "oracle_error",
    "separability_threshold",
]
