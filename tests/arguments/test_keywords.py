"""A misspelt keyword is answered by the nearest right one, wherever users build something."""

import copy
import pickle

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnknownArgument

EYE = np.eye(2)
DATA = op.data.Data(EYE, [1.0, -1.0])
WRONG = {
    "gama0": (lambda **k: op.kernels.KernelEvolution(op.kernels.MLP(1), DATA, **k), "gamma0"),
    "weigth_std": (lambda **k: op.kernels.MLP(1, **k), "weight_std"),
    "sample": (op.kernels.Causal, "samples"),
    "strenght": (lambda **k: op.mixtures.MixtureERM(op.mixtures.isotropic(2), **k), "strength"),
    "learning_rat": (lambda **k: op.online.TeacherStudent(op.online.Overlaps(EYE, EYE), **k),
                     "learning_rate"),
    "dimensions": (lambda **k: op.online.Overlaps(EYE, EYE, **k), "dimension"),
    "field_at": (op.SavePlan, "fields_at"),
    "experts_": (op.experts.Shape, "experts"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_nearest_argument_is_named(name):
    build, right = WRONG[name]
    with pytest.raises(UnknownArgument, match=f"no argument `{name}`. Did you mean '{right}'"):
        build(**{name: 1})
    assert issubclass(UnknownArgument, InvalidProblem)
    assert issubclass(UnknownArgument, TypeError)


def test_what_is_built_still_travels():
    plan = op.SavePlan(steps=3)
    assert pickle.loads(pickle.dumps(plan)) == plan == copy.deepcopy(plan)
