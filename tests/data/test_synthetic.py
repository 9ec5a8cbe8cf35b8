import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderparam.data import gaussian, teacher
from orderparam.errors import InvalidProblem


def test_gaussian_inputs_have_variance_one_and_labels_do_not_depend_on_them():
    data = gaussian(count=2000, dimension=50, test_count=3)
    assert abs(data.x.mean()) < 5 / np.sqrt(data.x.size)
    assert abs(data.x.var() - 1) < 5 * np.sqrt(2 / data.x.size)
    assert np.abs(data.y @ data.x / 2000).max() < 5 / np.sqrt(2000)


def test_balanced_labels_take_turns_and_random_ones_do_not():
    assert gaussian(5, 2, 3).y.tolist() == [1, -1, 1, -1, 1]
    assert gaussian(5, 2, 3).y_test.tolist() == [1, -1, 1]
    random = gaussian(1000, 2, 1000, labels="random")
    assert set(random.y) == {-1.0, 1.0}
    assert 0 < abs(random.y.sum()) < 5 * np.sqrt(1000)
    assert not np.array_equal(random.y, random.y_test)


def test_streams_do_not_move_each_other():
    small, large = gaussian(4, 3, 2, labels="random"), gaussian(6, 3, 5, labels="random")
    assert np.array_equal(small.x, large.x[:4])
    assert np.array_equal(small.y, large.y[:4])
    assert np.array_equal(small.x_test, large.x_test[:2])
    assert not np.array_equal(large.x[:5], large.x_test)
    assert gaussian(4, 3, seed=1).fingerprint() != gaussian(4, 3).fingerprint()
    quiet, noisy = teacher(4, 3, 2), teacher(4, 3, 2, noise=0.5)
    assert np.array_equal(quiet.x, noisy.x)
    assert np.array_equal(quiet.y_test, noisy.y_test)


def test_linear_teacher_is_linear_with_variance_one():
    data = teacher(200, 5, 20)
    w, *_ = np.linalg.lstsq(data.x, data.y, rcond=None)
    assert np.linalg.norm(w) == pytest.approx(1.0, rel=1e-12)
    assert np.allclose(data.x @ w, data.y)
    assert np.allclose(data.x_test @ w, data.y_test)


def test_quadratic_teacher_is_the_normalised_square_of_the_linear_one():
    u, y = teacher(4000, 5).y, teacher(4000, 5, teacher="quadratic").y
    assert np.allclose(y, (u**2 - 1) / np.sqrt(2))
    assert abs(y.mean()) < 5 / np.sqrt(4000)
    assert abs(y.var() - 1) < 5 * np.sqrt(14 / 4000)  # the kurtosis of a centred square is 15


def test_noise_has_the_stated_size_on_train_labels():
    quiet, noisy = teacher(4000, 2), teacher(4000, 2, noise=0.3)
    assert abs((noisy.y - quiet.y).std() / 0.3 - 1) < 5 / np.sqrt(2 * 4000)


def test_a_function_can_teach():
    data = teacher(3, 2, 2, teacher=lambda x: jnp.asarray(x[:, 1]))
    assert np.allclose(data.y, data.x[:, 1])
    assert np.allclose(data.y_test, data.x_test[:, 1])
    unmoved = teacher(3, 2, teacher=lambda x: x.__imul__(0)[:, 0])
    assert np.array_equal(unmoved.x, data.x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: teacher(3, 2, teacher=lambda x: x), r"`teacher\(x\)` must be a vector"),
        (lambda: teacher(3, 2, teacher=lambda x: x[:, 0] * np.nan), "finite"),
        (lambda: teacher(3, 2, teacher="linar"), "Did you mean 'linear'"),
        (lambda: teacher(3, 2, noise=-1.0), "`noise`"),
        (lambda: teacher(3, 0), "`dimension`"),
        (lambda: gaussian(0, 2), "`count`"),
        (lambda: gaussian(1, 2, -1), "`test_count`"),
        (lambda: gaussian(1, 2, labels="fair"), "'balanced', 'random'"),
        (lambda: gaussian(1, 2, seed=-1), "`seed`"),
    ],
)
def test_wrong_arguments_meet_a_sentence(call, message):
    with pytest.raises(InvalidProblem, match=message):
        call()


@given(*[st.integers(-2, 3)] * 4)
def test_any_sizes_are_accepted_or_refused_by_name(count, dimension, test_count, seed):
    valid = count >= 1 and dimension >= 1 and test_count >= 0 and seed >= 0
    try:
        data = gaussian(count, dimension, test_count, seed=seed)
    except InvalidProblem:
        assert not valid
    else:
        assert valid
        assert (data.count, data.dimension, data.test_count) == (count, dimension, test_count)
