"""CIFAR-10 from a folder of the user, in its binary or its Python version, unpacked or not."""

import os
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from orderparam.data.checks import distinct_classes
from orderparam.data.dataset import Data
from orderparam.data.images import class_order, classified, take
from orderparam.data.normalise import NORMALISATIONS
from orderparam.data.unpickle import read_dict
from orderparam.errors import CorruptFile, InvalidProblem
from orderparam.support.arguments import checked_path, integer, is_there, one_of
from orderparam.support.keywords import known_keywords

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
PIXELS = 3 * 32 * 32
LARGEST_BATCH = 2**26  # bytes; a batch of CIFAR-10 has half as many

Pool = tuple[UInt8[np.ndarray, "image pixel"], Int[np.ndarray, " image"]]


@known_keywords
def cifar10(
    folder: str | os.PathLike[str],
    classes: Sequence[int] = (0, 1),
    count: int = 20,
    test_count: int = 0,
    normalisation: str = "unit_kernel",
    seed: int = 0,
) -> Data:
    """Images of two classes of CIFAR-10, labelled -1 (first class) and +1 (second class).

    The folder holds, or has a folder inside that holds, the six batches of the binary version
    (`data_batch_1.bin` ... `test_batch.bin`) or of the Python version (`data_batch_1` ...
    `test_batch`); or it holds one of the archives as downloaded. Nothing is downloaded here, and
    the pickles of the Python version are read without running anything.

    Args:
        folder: Where the files are.
        classes: Two different integers from 0 to 9: airplane, automobile, bird, cat, deer, dog,
            frog, horse, ship, truck.
        count: Train images PER CLASS, from the five train batches, at least 1.
        test_count: Test images per class, from the test batch.
        normalisation: `"unit_kernel"` (default): minus the mean image of the train set, then
            scaled so that x.x / D = 1; `"centered"`: the mean only; `"none"`: 0 to 255.
        seed: Chooses the images, at least 0; a larger `count` contains a smaller one.

    Returns:
        Data with 2 * count train and 2 * test_count test samples of dimension 3072, ordered class
        after class.

    Raises:
        InvalidProblem: If an argument is outside its range, files are missing, or there are too
            few images.
        CorruptFile: If a file is not a batch of CIFAR-10.

    Source:
        Krizhevsky, Learning multiple layers of features from tiny images (2009).

    Example:
        >>> cifar10("no/such/folder")
        Traceback (most recent call last):
            ...
        orderparam.errors.InvalidProblem: Argument `folder` must name a folder, ...
    """
    chosen = distinct_classes(classes, len(NAMES))
    count, test_count = integer("count", count, 1), integer("test_count", test_count, 0)
    seed = integer("seed", seed, 0)
    one_of("normalisation", normalisation, NORMALISATIONS)
    batches = _batches(checked_path("folder", folder), TRAIN + TEST if test_count else TRAIN)
    train = _choose([batches[name] for name in TRAIN], chosen, count, seed, "train images")
    tested = [batches[name] for name in TEST] if test_count else [batches[TRAIN[0]]]
    test = _choose(tested, chosen, test_count, seed, "test images")
    name = f"CIFAR-10 {NAMES[chosen[0]]}/{NAMES[chosen[1]]}"
    return classified(train, test, normalisation=normalisation, name=name)


def _choose(
    pools: list[Pool], chosen: tuple[int, ...], count: int, seed: int, what: str
) -> list[UInt8[np.ndarray, "count pixel"]]:
    """`count` images of each of the two classes, by seed."""
    labels = np.concatenate([labels for _, labels in pools])
    images = np.concatenate([images for images, _ in pools])
    return [
        images[take(class_order(labels, label, seed), count, what=what, label=label)]
        for label in chosen
    ]


def _batches(folder: Path, wanted: tuple[str, ...]) -> dict[str, Pool]:
    """The wanted batches, from the first place where they are."""
    if not is_there(folder, Path.is_dir):
        raise InvalidProblem(
            f"Argument `folder` must name a folder, but {str(folder)!r} is none; unpack or copy "
            "CIFAR-10 there first."
        )
    for ending, inner, archive in (
        (".bin", "cifar-10-batches-bin", "cifar-10-binary.tar.gz"),
        ("", "cifar-10-batches-py", "cifar-10-python.tar.gz"),
    ):
        files = {name: name + ending for name in wanted}
        for place in (folder, folder / inner):
            if all(is_there(place / file, Path.is_file) for file in files.values()):
                return {n: _parse(place / f, (place / f).read_bytes()) for n, f in files.items()}
        if is_there(folder / archive, Path.is_file):
            return _unpack(folder / archive, files)
    raise InvalidProblem(
        f"Argument `folder` must hold the files {', '.join(wanted)} (with or without .bin), or "
        f"cifar-10-binary.tar.gz or cifar-10-python.tar.gz, but {str(folder)!r} does not; "
        "copy them there."
    )


def _unpack(archive: Path, files: dict[str, str]) -> dict[str, Pool]:
    """Batches out of a compressed archive; nothing is written to disk."""
    found: dict[str, Pool] = {}
    names = {file: name for name, file in files.items()}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                file = member.name.rpartition("/")[2]
                content = tar.extractfile(member) if member.isfile() and file in names else None
                if content is not None:
                    place = archive / file
                    found[names[file]] = _parse(place, content.read(LARGEST_BATCH + 1))
    except CorruptFile:
        raise  # a batch inside is damaged: its own message says more
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise CorruptFile(f"{str(archive)!r} cannot be unpacked ({error}).") from error
    for name, file in files.items():
        if name not in found:
            raise CorruptFile(f"{str(archive)!r} does not hold {file!r}; it may be cut off.")
    return found


def _parse(path: Path, content: bytes) -> Pool:
    """Images and labels of one batch; `path` is for messages and tells the version."""
    try:
        if len(content) > LARGEST_BATCH:
            raise ValueError(f"more than {LARGEST_BATCH} bytes")
        images, labels = _binary(content) if path.suffix == ".bin" else _python(content)
        if not np.all((labels >= 0) & (labels < len(NAMES))):
            raise ValueError("not all labels are from 0 to 9")
    # Bytes that are no batch can make the reader of pickles raise anything.
    except Exception as error:
        raise CorruptFile(
            f"{str(path)!r} is not a batch of CIFAR-10 ({error}); get the file again."
        ) from error
    return images, labels


def _binary(content: bytes) -> Pool:
    """Records of one byte for the label and 3072 for the image."""
    if not content or len(content) % (PIXELS + 1):
        raise ValueError(f"{len(content)} bytes are no whole number of images")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, PIXELS + 1)
    return records[:, 1:], records[:, 0].astype(np.int64)


def _python(content: bytes) -> Pool:
    """A pickled dict with the array `data` and the list `labels`."""
    batch = read_dict(content)
    images, labels = batch["data"], batch["labels"]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        raise ValueError("`data` is no array of bytes")
    if images.ndim != 2 or images.shape[1] != PIXELS:
        raise ValueError(f"`data` has the shape {images.shape}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError("`labels` is no list of integers")
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images have {len(labels)} labels")
    return images, np.array(labels, dtype=np.int64)
