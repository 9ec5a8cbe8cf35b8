import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderparam.data import cifar10
from orderparam.data.unpickle import read_dict
from orderparam.errors import CorruptFile, InvalidProblem

NAMES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]


def batch(name, count=4):
    """Images and labels of a made-up batch; labels take turns between classes 0 and 1."""
    images = np.random.default_rng(NAMES.index(name)).integers(0, 256, (count, 3072), np.uint8)
    return images, [n % 2 for n in range(count)]


def binary(name):
    images, labels = batch(name)
    return np.hstack([np.array(labels, np.uint8)[:, None], images]).tobytes()


def python3(name, protocol=4):
    images, labels = batch(name)
    return pickle.dumps({"data": images, "labels": labels, "batch_label": name}, protocol)


def python2(name):
    """The same as Python 2 with its NumPy wrote it: byte strings and the old module path."""
    images, labels = batch(name)
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = (
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN"
        + b"J\xff\xff\xff\xff" * 2
        + b"K\x00tb"
    )
    raw = b"\x89T" + struct.pack("<i", images.size) + images.tobytes()
    array = made + b"(K\x01K" + bytes([len(images)]) + b"M\x00\x0c\x86" + kind + raw + b"tb"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + listed + b"u."


def tarball(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def lay(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


LAYOUTS = {
    "binary": {f"{n}.bin": binary(n) for n in NAMES},
    "binary-inner": {f"cifar-10-batches-bin/{n}.bin": binary(n) for n in NAMES},
    "binary-archive": {
        "cifar-10-binary.tar.gz": tarball(
            {f"cifar-10-batches-bin/{n}.bin": binary(n) for n in NAMES} | {"readme.html": b"x"}
        )
    },
    "python2": {n: python2(n) for n in NAMES},
    "python3-old": {n: python3(n, 3).replace(b"numpy._core.", b"numpy.core.") for n in NAMES},
    "python-inner": {f"cifar-10-batches-py/{n}": python3(n) for n in NAMES},
    "python-archive": {
        "cifar-10-python.tar.gz": tarball({f"cifar-10-batches-py/{n}": python2(n) for n in NAMES})
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_version_gives_the_same_images(tmp_path, layout):
    folder = lay(tmp_path, LAYOUTS[layout])
    data = cifar10(folder, count=10, test_count=2, normalisation="none")
    pool = np.concatenate([batch(name)[0] for name in NAMES[:5]])
    labels = np.concatenate([batch(name)[1] for name in NAMES[:5]])
    for half, label in ((data.x[:10], 0), (data.x[10:], 1)):
        expected = pool[labels == label].astype(float)
        assert sorted(map(tuple, half)) == sorted(map(tuple, expected))
    assert sorted(map(tuple, data.x_test[:2])) == sorted(map(tuple, batch("test_batch")[0][::2]))
    assert data.y.tolist() == [-1] * 10 + [1] * 10
    assert data.y_test.tolist() == [-1, -1, 1, 1]
    assert data.name == "CIFAR-10 airplane/automobile"


def test_the_choice_follows_the_seed_and_is_scaled(tmp_path):
    folder = lay(tmp_path, LAYOUTS["binary"])
    data = cifar10(folder, count=3)
    assert np.allclose(np.diag(data.gram()), 1.0)
    assert data.fingerprint() == cifar10(folder, count=3).fingerprint()
    assert data.fingerprint() != cifar10(folder, count=3, seed=1).fingerprint()
    assert data.y_test is None


def test_the_test_batch_is_needed_only_for_test_images(tmp_path):
    folder = lay(tmp_path, {f"{n}.bin": binary(n) for n in NAMES[:5]})
    assert cifar10(folder, count=1, normalisation="none").count == 2
    with pytest.raises(InvalidProblem, match="test_batch"):
        cifar10(folder, count=1, test_count=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 11}, "11 train images of class 0 .* there are 10"),
        ({"classes": (0, 7), "count": 1}, "of class 7 .* there are 0"),
        ({"count": 1, "test_count": 3}, "3 test images of class 0 .* there are 2"),
        ({"classes": (0, 10)}, "from 0 to 9"),
        ({"count": 0}, "`count`"),
    ],
)
def test_wrong_arguments_meet_a_sentence(tmp_path, arguments, message):
    with pytest.raises(InvalidProblem, match=message):
        cifar10(lay(tmp_path, LAYOUTS["binary"]), **arguments)


def test_a_folder_without_cifar10_is_named(tmp_path):
    for folder, message in ((tmp_path, "must hold the files"), (tmp_path / "none", "is none")):
        with pytest.raises(InvalidProblem, match=message):
            cifar10(folder)


def pickled(**entries):
    return pickle.dumps({"data": batch("test_batch")[0], "labels": [0, 1, 0, 1], **entries}, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (binary("data_batch_1")[:-1], "no whole number of images"),
        (b"", "0 bytes"),
        (b"\x0a" + binary("data_batch_1")[1:], "labels are from 0 to 9"),
    ],
)
def test_a_binary_file_that_is_no_batch_is_named(tmp_path, content, message):
    folder = lay(tmp_path, LAYOUTS["binary"] | {"data_batch_1.bin": content})
    with pytest.raises(CorruptFile, match=rf"data_batch_1\.bin' is not a batch.*{message}"):
        cifar10(folder, count=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ""),
        (python3("data_batch_1")[:-20], ""),
        (pickle.dumps([1, 2]), "holds no dict"),
        (pickle.dumps({"data": 1}), "labels"),
        (pickled(labels=[0, 1]), "4 images have 2 labels"),
        (pickled(labels=[0, 1, 0, 10]), "labels are from 0 to 9"),
        (pickled(labels=[0, 1, 0, True]), "no list of integers"),
        (pickled(labels=None), "no list of integers"),
        (pickled(data=[1]), "no array of bytes"),
        (pickled(data=np.zeros((4, 3071), np.uint8)), r"the shape \(4, 3071\)"),
        (pickled(data=np.zeros((4, 3072), np.int8)), "no array of bytes"),
        (pickled(data=np.zeros((4, 3072)).astype(object)), "BINFLOAT is not admitted"),
        (pickled(data=np.array([None])), "'O8' are not plain numbers"),
        (pickled(more=1.5), "BINFLOAT is not admitted"),
        (pickled(more={1}), "EMPTY_SET is not admitted"),
    ],
)
def test_a_pickle_that_is_no_batch_is_named(tmp_path, content, message):
    folder = lay(tmp_path, LAYOUTS["python2"] | {"data_batch_1": content})
    with pytest.raises(CorruptFile, match=f"data_batch_1' is not a batch.*{message}"):
        cifar10(folder, count=1)


@pytest.mark.parametrize("kept", [0, 100, 20_000])
def test_a_truncated_archive_is_named(tmp_path, kept):
    content = LAYOUTS["binary-archive"]["cifar-10-binary.tar.gz"][:kept]
    with pytest.raises(CorruptFile, match=r"cifar-10-binary\.tar\.gz"):
        cifar10(lay(tmp_path, {"cifar-10-binary.tar.gz": content}), count=1)


def test_damage_inside_an_archive_and_missing_batches_are_named(tmp_path):
    files = {f"{n}.bin": binary(n) for n in NAMES[:5]}
    damaged = tarball(files | {"data_batch_2.bin": b"x"})
    with pytest.raises(CorruptFile, match=r"^'[^']*data_batch_2\.bin' is not a batch"):
        cifar10(lay(tmp_path, {"cifar-10-binary.tar.gz": damaged}), count=1)
    with pytest.raises(CorruptFile, match=r"does not hold 'test_batch\.bin'"):
        cifar10(lay(tmp_path, {"cifar-10-binary.tar.gz": tarball(files)}), test_count=1)


class Runs:
    """Unpickled in good faith, this writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_batch_is_refused_and_does_not_run(tmp_path, protocol):
    mark = tmp_path / "it-ran"
    content = pickle.dumps({"data": Runs(mark), "labels": [0]}, protocol)
    folder = lay(tmp_path, LAYOUTS["python2"] | {"data_batch_3": content})
    with pytest.raises(CorruptFile, match=r"data_batch_3.*not admitted"):
        cifar10(folder, count=1)
    assert not mark.exists()
    pickle.loads(content)
    assert mark.exists()  # the attack is real: an ordinary reader runs it


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"cbuiltins\neval\n", r"builtins\.eval, which is not admitted"),
        (b"cnumpy\nload\n", r"numpy\.load, which is not admitted"),
        (b"\x8c\x05numpy\x8c\x10ndarray.__init__\x93", "not admitted"),
        (b"cnumpy\nndarray\n)R", "not to be called"),
        (RECONSTRUCT + b"N}X\x03\x00\x00\x00newK\x01s\x86b", "has no attribute 'new'"),
        (b"cnumpy\ndtype\nU\x02O8\x85R", "not plain numbers"),
        (b"cnumpy\ndtype\nU\x02u1\x85R(K\x03U\x01?tb", "unknown byte order"),
        (b"K\x01r\x00\x00\x10\x00", "more memory"),
        (b"Pname\n", "PERSID is not admitted"),
        (b"\x82\x01", "EXT1 is not admitted"),
        (RECONSTRUCT + b")R", "values"),  # an array that never got its numbers
    ],
)
def test_no_way_around_the_reader(value, message):
    content = b"}U\x01a%ss."
    assert read_dict(content % b"K\x05") == {"a": 5}
    with pytest.raises((pickle.UnpicklingError, AttributeError), match=message):
        read_dict(content % value)


@settings(max_examples=100)
@given(place=st.integers(0, 400), new=st.binary(min_size=1, max_size=4), source=st.booleans())
def test_any_damage_is_found_or_harmless(tmp_path_factory, place, new, source):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    content = (python2 if source else python3)("data_batch_1")
    # The raw pixels in the middle may hold anything; damage goes to both ends.
    place = place if place < 200 else len(content) - (place - 199)
    lay(folder, LAYOUTS["python2"])
    lay(folder, {"data_batch_1": content[:place] + new + content[place + len(new) :]})
    try:
        data = cifar10(folder, count=1, normalisation="none")
    except CorruptFile:
        return
    assert data.x.shape == (2, 3072)
