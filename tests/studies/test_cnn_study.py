"""The built-in study of convolutional networks: on digits, and on CIFAR-10 from a folder."""

import numpy as np
import pytest

from orderparam.studies.building import builder
from orderparam.studies.cases import build_cases
from orderparam.studies.catalog import find
from orderparam.studies.overrides import resolve
from orderparam.studies.runner import run_study

COLOURS = ("problem.network.shape=[32, 32]", "problem.network.channels=3", "problem.data.count=1")
TINY = (
    "theory.samples=1024", "theory.tolerance=1e-2", "problem.steps=3", "save.steps=3",
    "experiment.width=[8, 16]", "experiment.seeds=2",
)  # fmt: skip


def cifar10(folder):
    """A made-up folder of train batches, an image of each of two classes in each."""
    for number in range(1, 6):
        images = np.random.default_rng(number).integers(0, 256, (2, 3072), np.uint8)
        rows = np.hstack([np.array([[0], [1]], np.uint8), images])
        (folder / f"data_batch_{number}.bin").write_bytes(rows.tobytes())
    return ('problem.data.kind="cifar10"', f'problem.data.folder="{folder}"', *COLOURS)


def study_with(settings):
    text, source = find("cnn-digits")
    return resolve(text, source, settings=settings)


def test_the_same_study_reads_digits_and_cifar10(tmp_path):
    for settings, shape in (((), (4, 64)), (cifar10(tmp_path), (2, 3072))):
        (case,) = build_cases(study := study_with(settings)[0], builder(*study_with(settings)))
        assert case.built.problem.data.x.shape == shape
        assert case.built.problem.network.positions == shape[1] // (3 if settings else 1)
        assert len(study.experiment.width) == 3


@pytest.mark.validate
@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_the_study_runs(tmp_path, name):
    settings = cifar10(tmp_path) if name == "cifar10" else ("problem.data.count=1",)
    finished = run_study(*study_with((*settings, *TINY)), store=tmp_path / name, progress=False)
    (case,) = finished.summary["cases"]
    assert case["verdict"] != "error"
    assert {path.stem[:4] for path in finished.folder.glob("*.png")} >= {"loss", "devi", "alig"}
