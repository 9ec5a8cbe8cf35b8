"""Shapes in signatures are checked at run time, in every module that states one."""

from importlib import import_module
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from orderparam.kernels.theory.initial import stable_learning_rate

SOURCE = Path(__file__).parents[1] / "src"
WITH_SHAPES = "orderparam.kernels.theory.initial", "orderparam.engine.together"


def test_a_wrong_shape_is_refused():
    assert stable_learning_rate(np.eye(3)) > 0
    with pytest.raises(jaxtyping.TypeCheckError, match="tangent"):
        stable_learning_rate(np.ones((2, 3)))


@pytest.mark.parametrize("name", WITH_SHAPES)
def test_modules_with_shapes_are_checked(name):
    assert hasattr(import_module(name), "jaxtyping")


def test_modules_state_shapes_in_one_way():
    """By the line that `conftest.py` looks for."""
    for path in SOURCE.glob("orderparam/**/*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import jaxtyping" not in text, path
