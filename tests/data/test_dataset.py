import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import TypeCheckError

from orderparam.data import Data
from orderparam.data.checks import distinct_classes
from orderparam.data.normalise import normalise
from orderparam.errors import InvalidProblem
from orderparam.support.arguments import at_least_zero, integer, one_of
from orderparam.support.arrays import matrix, vector


def test_arrays_are_copied_float64_and_read_only():
    x = np.arange(6, dtype=np.float64).reshape(3, 2)
    data = Data(x, [1, 0, -1], x[:1], [2], name="three")
    x[:] = 7
    assert data.x.tolist() == [[0, 1], [2, 3], [4, 5]]
    for array in (data.x, data.y, data.x_test, data.y_test):
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(AttributeError):
        data.x = x
    assert (data.count, data.test_count, data.dimension) == (3, 1, 2)
    assert repr(data) == "Data('three': 3 train, 1 test, dimension 2)"


def test_gram_covers_train_then_test():
    data = Data([[1.0, 2.0], [3.0, 4.0]], [0, 1], [[5.0, 6.0]])
    assert np.allclose(data.gram(), np.array([[5, 11, 17], [11, 25, 39], [17, 39, 61]]) / 2)


def test_fingerprint_changes_with_each_number_but_not_with_the_name():
    def fingerprint(x=1.0, y=2.0, x_test=3.0, y_test=4.0, name="a"):
        labels = None if y_test is None else [y_test]
        return Data([[x, 1.0]], [y], [[x_test, 1.0]], labels, name=name).fingerprint()

    changed = [fingerprint(x=0), fingerprint(y=0), fingerprint(x_test=0), fingerprint(y_test=0)]
    distinct = {fingerprint(), fingerprint(y_test=None), *changed}
    assert len(distinct) == 6
    assert fingerprint(name="b") == fingerprint()
    assert len(fingerprint()) == 64
    assert Data([[1.0]], [1.0], np.zeros((0, 1)), []).y_test is None
    row, column = Data([[1.0, 2.0]], [1.0]), Data([[1.0], [2.0]], [1.0, 1.0])
    assert row.fingerprint() != column.fingerprint()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([[1.0, np.nan]], [1.0]), r"has nan at \(0, 1\)"),
        (([[1.0, -np.inf]], [1.0]), "remove or replace"),
        (([[1e101]], [1.0]), "rescale"),
        (([[1.0]], [np.inf]), "`y`"),
        (([[1.0], [2.0]], [1.0]), r"\(2,\), but has the shape \(1,\)"),
        (([[1.0]], [[[1.0]]]), r"`y` must be an array with 1 or 2 axes"),
        (([[1.0], [2.0]], [[1.0, 0.0]]), "one row per sample, 2, but has 1"),
        (([[1.0]], [[1.0, 0.0]], [[2.0]], [1.0]), "give both the same outputs"),
        (([1.0, 2.0], [1.0, 2.0]), r"`x` must be a matrix"),
        ((np.zeros((0, 3)), []), "at least one sample"),
        ((np.zeros((3, 0)), [1, 1, 1]), "at least one column"),
        (([[1.0, 2.0]], [1.0], [[1.0]]), "dimension of `x`, 2, but has 1"),
        (([[1.0]], [1.0], [[1.0]], [1.0, 2.0]), "`y_test`"),
        (([[1.0]], [1.0], None, [1.0]), "`y_test`"),
        (([[1.0j]], [1.0]), "real numbers, but holds complex numbers"),
        (([["a"]], [1.0]), "real numbers"),
        (([[1.0, 2.0], [3.0]], [1.0, 1.0]), "rows of equal length"),
    ],
)
def test_wrong_arrays_meet_a_sentence(arrays, message):
    with pytest.raises(InvalidProblem, match=message):
        Data(*arrays)


@given(
    x=hnp.arrays(
        st.sampled_from([np.float64, np.float16, np.int8, np.bool_, np.complex64, "U1", "M8[s]"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    y=hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)),
)
def test_any_arrays_are_accepted_or_refused_by_name(x, y):
    try:
        data = Data(x, y)
    except InvalidProblem:
        return
    assert data.x.shape == x.shape
    assert np.isfinite(data.gram()).all()


@pytest.mark.parametrize("value", [2.0, "3", None, True, 0, -1, float("nan")])
def test_integers_are_integers(value):
    with pytest.raises(InvalidProblem, match="`count` must be an integer of at least 1"):
        integer("count", value, 1)
    assert integer("count", np.int32(1), 1) == 1


@pytest.mark.parametrize("value", ["0", None, True, -1e-9, float("nan"), float("inf"), 1j])
def test_noise_is_a_finite_number(value):
    with pytest.raises(InvalidProblem, match="`noise` must be a finite number"):
        at_least_zero("noise", value)
    assert at_least_zero("noise", 0) == 0.0


@pytest.mark.parametrize("value", [3, (1,), (1, 1), (0, 10), (-1, 0), (0, 1, 2), "01", (0.0, 1.0)])
def test_classes_are_two_different_known_ones(value):
    with pytest.raises(InvalidProblem, match="two different integers from 0 to 9"):
        distinct_classes(value, 10, most=2)
    assert distinct_classes([9, 0], 10) == (9, 0)


def test_words_are_suggested():
    with pytest.raises(InvalidProblem, match="Did you mean 'centered'"):
        one_of("normalisation", "centred", ("centered", "none"))
    with pytest.raises(InvalidProblem, match="but is None"):
        one_of("normalisation", None, ("centered", "none"))


def test_checks_name_the_argument():
    with pytest.raises(InvalidProblem, match="`a`"):
        matrix("a", None)
    with pytest.raises(InvalidProblem, match="`b`"):
        vector("b", object(), 1)


def test_shapes_and_types_are_checked_while_tests_run():
    with pytest.raises(TypeCheckError, match="dimension"):
        normalise(np.zeros((2, 3)), np.zeros((1, 4)), "none")


def test_labels_of_several_outputs():
    data = Data(np.eye(3), np.eye(3)[:, :2], [[1.0, 0, 0]], [[0.0, 1.0]])
    assert (data.outputs, data.y_test.shape) == (2, (1, 2))
    np.testing.assert_array_equal(data.targets(), np.eye(3)[:, :2])
    column = Data([[1.0], [2.0]], [[1.0], [-1.0]])
    assert (column.outputs, column.y.shape, column.targets().shape) == (1, (2,), (2, 1))
