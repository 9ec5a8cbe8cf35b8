import pytest

from orderparam.errors import InvalidProblem
from orderparam.experts import Shape
from orderparam.experts.glossary import SIZES, meaning


def test_every_size_and_observable_has_a_meaning():
    full = Shape(width=8, experts=4, expert_width=2, ffn_width=8, head_dim=2)
    assert set(full.sizes) == set(SIZES)
    assert meaning("grad/expert_in")[1] == "gradient of the role 'expert_in'"
    assert meaning("agg/base")[0] == "W_0 v_0"
    with pytest.raises(InvalidProblem, match="no observable"):
        meaning("act/nothing")
