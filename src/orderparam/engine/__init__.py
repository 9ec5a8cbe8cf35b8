"""Gaussian conditioning: large random matrices that are used only through products.

Knows no learning problem. A program is written once with the verbs of `State` and runs on sampled
spaces (the limit, Monte-Carlo), exact spaces (the limit of linear programs) and finite ones.
"""

from orderparam.engine.exact import ExactSpace
from orderparam.engine.finite import FiniteMatrix, FiniteSpace
from orderparam.engine.growth import (
    check_capacity,
    crowding_notes,
    known,
    missing,
    orthogonality_loss,
    ranks,
)
from orderparam.engine.layout import Layout, MatrixSpec
from orderparam.engine.matrix import GaussianMatrix
from orderparam.engine.run import Program, Run, run
from orderparam.engine.sampled import SampledSpace
from orderparam.engine.seeded import CoefficientSpace, ParticleSpace
from orderparam.engine.sharding import shard
from orderparam.engine.side import Side
from orderparam.engine.space import Space
from orderparam.engine.state import (
    NORMALS,
    SLOTS,
    State,
    exact_state,
    finite_state,
    sampled_state,
    seeded_state,
)
from orderparam.engine.together import run_together

__all__ = [
    "NORMALS",
    "SLOTS",
    "CoefficientSpace",
    "ExactSpace",
    "FiniteMatrix",
    "FiniteSpace",
    "GaussianMatrix",
    "Layout",
    "MatrixSpec",
    "ParticleSpace",
    "Program",
    "Run",
    "SampledSpace",
    "Side",
    "Space",
    "State",
    "check_capacity",
    "crowding_notes",
    "exact_state",
    "finite_state",
    "known",
    "missing",
    "orthogonality_loss",
    "ranks",
    "run",
    "run_together",
    "sampled_state",
    "seeded_state",
    "shard",
]
