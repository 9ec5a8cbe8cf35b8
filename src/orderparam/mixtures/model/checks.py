"""Checks of what describes a mixture; each message names the cluster at fault."""

import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import integers, refuse, several, shown
from orderparam.support.arrays import Numbers, array

_ASYMMETRY = 1e-8
_NEGATIVE = 1e-10
_SUM = 1e-8


def cluster_weights(value: Numbers | None, clusters: int) -> Float[np.ndarray, " cluster"]:
    """Probabilities of the clusters, checked; equal ones for `None`."""
    if value is None:
        return np.full(clusters, 1 / clusters)
    weights = array("weights", value)
    if weights.shape != (clusters,):
        raise InvalidProblem(
            f"Argument `weights` has shape {weights.shape}, but there are {clusters} clusters; "
            "give one probability for each."
        )
    if np.any(weights <= 0) or abs(weights.sum() - 1) > _SUM:
        raise InvalidProblem(
            f"Argument `weights` must be positive with sum 1, but is {weights.tolist()} with sum "
            f"{weights.sum():.10g}; normalise it, and leave out clusters of weight 0."
        )
    return weights


def cluster_labels(value: Numbers | None, clusters: int) -> Int[np.ndarray, " cluster"]:
    """Class of each cluster, checked to be 0 ... C - 1 without gaps."""
    if value is None:
        return np.arange(clusters)
    numbers = several(value)
    if numbers is None or len(numbers) != clusters:
        allowed = f"one class, an integer, for each of {clusters} clusters"
        raise refuse("labels", value, allowed, "give a list")
    labels = np.array(integers("labels", numbers, least=0, most=clusters - 1), dtype=np.int64)
    if not np.array_equal(np.unique(labels), np.arange(labels.max() + 1)):
        raise InvalidProblem(
            f"Argument `labels` must use the classes 0, 1, ... without gaps, but is "
            f"{labels.tolist()}; number them anew."
        )
    return labels


def check_covariances(matrices: Float[np.ndarray, "cluster ..."]) -> None:
    """Refuse covariances that are not symmetric positive semi-definite."""
    for cluster, matrix in enumerate(matrices):
        scale = max(float(np.abs(matrix).max()), 1e-300)
        asymmetry = float(np.abs(matrix - np.swapaxes(matrix, -1, -2)).max()) / scale
        if asymmetry > _ASYMMETRY:
            raise InvalidProblem(
                f"The covariance of cluster {cluster} is not symmetric (relative asymmetry "
                f"{asymmetry:.2g}); give (S + S^T)/2."
            )
        lowest = float(np.linalg.eigvalsh(matrix).min())
        if lowest < -_NEGATIVE * scale:
            raise InvalidProblem(
                f"The covariance of cluster {cluster} has the eigenvalue {lowest:.3g} below zero; "
                "give a positive semi-definite matrix (shrinkage towards the identity helps)."
            )


def axis(name: str, value: Numbers, zero: bool) -> Float[np.ndarray, "..."]:
    """One number, or several that differ, of an axis of points; checked."""
    found = array(name, value, (0, 1), "give one number or a list of them")
    allowed = found >= 0 if zero else found > 0
    if not found.size or not allowed.all():
        least = "of at least 0" if zero else "above 0"
        raise refuse(name, value, f"a finite number {least} or a sequence of them")
    if len(np.unique(found)) < found.size:
        raise InvalidProblem(
            f"Argument `{name}` names a value twice: {shown(found.tolist())}; name each once."
        )
    return found


def checked_class_weights(value: Numbers | None, classes: int) -> Float[np.ndarray, " class"]:
    """Factors of the losses of the classes, checked; ones for `None`."""
    if value is None:
        return np.ones(classes)
    weights = array("class_weights", value)
    if weights.shape != (classes,) or np.any(weights <= 0):
        allowed = f"one positive factor for each of {classes} classes"
        raise refuse("class_weights", value, allowed, "give a list")
    return weights
