import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orderparam.data import from_arrays, from_file
from orderparam.errors import CorruptFile, InvalidProblem

X = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 8.0]])
Y = np.array([1.0, -1.0, 1.0])


def archive(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


GOOD_NPZ = archive(x=X, y=Y)
GOOD_CSV = b"a,label,b\n0,1,1\n2,-1,3\n4,1,8\n"


@pytest.fixture
def write(tmp_path):
    def write_bytes(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_bytes


def test_unit_kernel_scales_each_row_after_the_train_mean():
    data = from_arrays(X, Y, X[:1] + 5, normalisation="unit_kernel")
    centred = X - X.mean(axis=0)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    assert np.allclose(data.x, np.sqrt(2) * centred / size)
    assert np.allclose((data.x_test**2).sum(axis=1), 2)
    assert data.y_test is None
    assert np.array_equal(from_arrays(X, Y).x, X)


def test_rows_too_small_to_square_are_scaled_all_the_same():
    unit = from_arrays(X, Y, normalisation="unit_kernel")
    tiny = from_arrays(X * 1e-200, Y, normalisation="unit_kernel")
    assert np.allclose(unit.x, tiny.x)


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[0.1, 0.7]] * 3, [[0.0, 0.0], [2.0, 2.0], [1, 1]]])
def test_a_row_at_the_mean_cannot_be_scaled(rows):
    with pytest.raises(InvalidProblem, match=r"train sample .* equals the mean"):
        from_arrays(rows, np.ones(len(rows)), normalisation="unit_kernel")


def test_a_test_row_at_the_mean_cannot_be_scaled_either():
    with pytest.raises(InvalidProblem, match="test sample 0 equals the mean"):
        from_arrays(X, Y, X.mean(axis=0, keepdims=True), normalisation="unit_kernel")


@given(
    x=hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4)),
    how=st.sampled_from(["unit_kernel", "centered", "none", "unit"]),
)
def test_any_rows_are_normalised_exactly_or_refused(x, how):
    try:
        data = from_arrays(x, np.ones(len(x)), normalisation=how)
    except InvalidProblem:
        return
    assert how != "unit"
    if how == "unit_kernel":
        assert np.allclose(np.diag(data.gram()), 1.0, rtol=1e-12)


def test_npz_with_and_without_test_arrays(write):
    data = from_file(write("points.npz", GOOD_NPZ))
    assert np.array_equal(data.x, X)
    assert np.array_equal(data.y, Y)
    assert data.name == "points"
    content = archive(x=X, size=Y, x_test=X[:2], size_test=Y[:2], other=Y)
    data = from_file(write("more.npz", content), target="size")
    assert np.array_equal(data.x_test, X[:2])
    assert np.array_equal(data.y_test, Y[:2])
    assert from_file(write("few.npz", archive(x=X, y=Y, x_test=X)), target="y").y_test is None


def test_csv_takes_the_target_out_of_the_columns(write):
    data = from_file(write("TABLE.CSV", GOOD_CSV + b"\n"), target="label")
    assert np.array_equal(data.x, X)
    assert np.array_equal(data.y, Y)


def test_csv_of_a_spreadsheet_may_begin_with_a_byte_order_mark(write):
    assert from_file(write("a.csv", b"\xef\xbb\xbfy, a\r\n1,2\r\n")).x.tolist() == [[2.0]]


def test_samples_set_aside_are_the_rest_and_follow_the_seed(write):
    path = write("points.npz", archive(x=np.arange(20.0)[:, None], y=np.arange(20.0)))
    data = from_file(path, test_count=8)
    assert np.array_equal(data.x[:, 0], data.y)
    assert np.array_equal(data.x_test[:, 0], data.y_test)
    assert sorted([*data.y, *data.y_test]) == list(range(20))
    assert data.test_count == 8
    assert data.fingerprint() == from_file(path, test_count=8).fingerprint()
    assert data.fingerprint() != from_file(path, test_count=8, seed=1).fingerprint()


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [
        ("a.txt", b"1", {}, r"must end in .npz or .csv"),
        ("a.npz", GOOD_NPZ, {"target": "label"}, "exactly one array 'label', but has"),
        ("a.npz", archive(X=X, y=Y), {}, "array 'x'"),
        ("a.npz", archive(x=X, y=Y[:2]), {}, "`y`"),
        ("a.npz", archive(x=X * np.nan, y=Y), {}, "finite"),
        ("a.npz", archive(x=X.astype(str), y=Y), {}, "real numbers"),
        ("a.npz", archive(x=X, y=Y, x_test=X), {"test_count": 1}, "test arrays of its own"),
        ("a.npz", GOOD_NPZ, {"test_count": 3}, "3 samples .* at most 2"),
        ("a.npz", GOOD_NPZ, {"test_count": -1}, "`test_count`"),
        ("a.npz", GOOD_NPZ, {"normalisation": "unit-kernel"}, "Did you mean 'unit_kernel'"),
        ("a.csv", GOOD_CSV, {"target": "labels"}, "Did you mean 'label'"),
        ("a.csv", b"a,y,y\n1,2,3\n", {}, "exactly one column 'y'"),
        ("a.csv", b"", {}, "column 'y', but has"),
        ("a.csv", b"a,y\n", {}, "at least one sample"),
        ("a.csv", b"y\n1\n", {}, "at least one column"),
        ("a.csv", b"a,y\n1,2\n,3\n", {}, "has '' in sample 1, column 'a'"),
        ("a.csv", b"a,y\n1,cat\n", {}, "'cat' in sample 0, column 'y'"),
        ("a.csv", b"a,y\n1,\x00\n", {}, "sample 0, column 'y'"),
        ("a.csv", b"a,y\nnan,1\n", {}, "finite"),
    ],
)
def test_wrong_use_meets_a_sentence(write, name, content, arguments, message):
    with pytest.raises(InvalidProblem, match=message):
        from_file(write(name, content), **arguments)


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "none.npz", str(tmp_path)):
        with pytest.raises(InvalidProblem, match="`path` must"):
            from_file(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npz", b""),
        ("a.npz", GOOD_NPZ[:-30]),
        ("a.npz", GOOD_NPZ.replace(b"descr", b"dascr")),
        ("a.npz", pickle.dumps({"x": X, "y": Y})),
        ("a.npz", archive(x=np.array([None]), y=Y)),
        ("a.csv", b"a,y\n1,2\n3"),
        ("a.csv", b'a,y\n1,"2'),
        ("a.csv", b"a,y\n1,\xff\n"),
    ],
)
def test_a_damaged_file_is_named(write, name, content):
    with pytest.raises(CorruptFile, match=name):
        from_file(write(name, content))


def test_a_single_array_is_no_archive(write):
    buffer = io.BytesIO()
    np.save(buffer, X)
    with pytest.raises(CorruptFile, match="NumPy archive"):
        from_file(write("a.npz", buffer.getvalue()))


@given(
    good=st.sampled_from([("a.npz", GOOD_NPZ, "y"), ("a.csv", GOOD_CSV, "label")]),
    place=st.integers(0, 600),
    new=st.binary(max_size=3),
    length=st.integers(0, 1000),
)
def test_any_damage_is_found_or_harmless(tmp_path_factory, good, place, new, length):
    name, content, target = good
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes((content[:place] + new + content[place + len(new) :])[:length])
    try:
        data = from_file(path, target=target)
    except (CorruptFile, InvalidProblem):
        return
    assert np.isfinite(data.x).all()
