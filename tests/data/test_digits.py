import numpy as np
import pytest
from sklearn.datasets import load_digits

from orderparam.data import digits
from orderparam.data.images import class_order
from orderparam.errors import InvalidProblem

IMAGES, DIGITS = load_digits(return_X_y=True)


def shown(row):
    """The digit whose image a row is."""
    return DIGITS[np.flatnonzero((row == IMAGES).all(axis=1))[0]]


def test_default_is_forty_images_of_unit_kernel():
    data = digits()
    assert data.x.shape == (40, 64)
    assert data.y.tolist() == [-1.0] * 20 + [1.0] * 20
    assert np.allclose(np.diag(data.gram()), 1.0, rtol=1e-14)
    assert data.x_test.shape == (0, 64)
    assert data.y_test is None


def test_images_show_the_classes_that_the_labels_say():
    data = digits(classes=(7, 2), count=4, test_count=3, normalisation="none")
    assert [shown(row) for row in data.x] == [7] * 4 + [2] * 4
    assert [shown(row) for row in data.x_test] == [7] * 3 + [2] * 3
    assert data.y_test.tolist() == [-1] * 3 + [1] * 3
    assert data.x.max() == 16


def test_the_mean_is_that_of_the_train_images_alone():
    raw = digits(count=5, test_count=3, normalisation="none")
    mean = raw.x.mean(axis=0)
    centred = digits(count=5, test_count=3, normalisation="centered")
    assert np.allclose(centred.x, raw.x - mean)
    assert np.allclose(centred.x_test, raw.x_test - mean)
    unit = digits(count=5, test_count=3)
    expected = 8 * centred.x_test / np.linalg.norm(centred.x_test, axis=1, keepdims=True)
    assert np.allclose(unit.x_test, expected)


def test_the_choice_depends_on_the_seed_and_is_nested():
    def rows(**changes):
        arguments = {"count": 6, "test_count": 2, "normalisation": "none", **changes}
        return digits(**arguments)

    assert rows().fingerprint() == rows().fingerprint()
    assert rows().fingerprint() != rows(seed=1).fingerprint()
    assert np.array_equal(rows(count=9).x[:6], rows().x[:6])
    assert np.array_equal(rows(count=9).x_test, rows().x_test)
    assert np.array_equal(rows(test_count=5).x, rows().x)
    swapped = rows(classes=(1, 0))
    assert np.array_equal(swapped.x[6:], rows().x[:6])


def test_two_classes_of_equal_size_are_chosen_independently():
    labels = np.tile([0, 1], 50)
    assert not np.array_equal(class_order(labels, 0, 0) + 1, class_order(labels, 1, 0))


def test_train_and_test_are_disjoint_up_to_the_last_image():
    data = digits(classes=(8, 0), count=100, test_count=74, normalisation="none")
    chosen = np.concatenate([data.x[:100], data.x_test[:74]])
    assert len(np.unique(chosen, axis=0)) == len(np.unique(IMAGES[DIGITS == 8], axis=0)) == 174


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": (8, 0), "test_count": 155}, "175 .* of class 8 .* there are 174"),
        ({"count": 0}, "at least 1"),
        ({"count": True}, "`count`"),
        ({"test_count": -1}, "at least 0"),
        ({"seed": -1}, "`seed`"),
        ({"classes": (0, 0)}, "two or more different"),
        ({"normalisation": "unit-kernel"}, "Did you mean 'unit_kernel'"),
    ],
)
def test_wrong_arguments_meet_a_sentence(changes, message):
    with pytest.raises(InvalidProblem, match=message):
        digits(**changes)


def test_more_than_two_classes_have_a_column_each():
    data = digits(classes=(3, 5, 8), count=2, test_count=1)
    np.testing.assert_array_equal(data.y, np.repeat(np.eye(3), 2, axis=0))
    np.testing.assert_array_equal(data.y_test, np.eye(3))
