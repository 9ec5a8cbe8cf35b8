"""Handwritten digits, 8 x 8 pixels, as they come with scikit-learn: no download."""

from collections.abc import Sequence

import numpy as np

from orderparam.data.checks import distinct_classes
from orderparam.data.dataset import Data
from orderparam.data.images import class_order, classified, take
from orderparam.data.normalise import NORMALISATIONS
from orderparam.support.arguments import integer, one_of
from orderparam.support.keywords import known_keywords


@known_keywords
def digits(
    classes: Sequence[int] = (0, 1),
    count: int = 20,
    test_count: int = 0,
    normalisation: str = "unit_kernel",
    seed: int = 0,
) -> Data:
    """Images of handwritten digits.

    Two classes are labelled -1 (first) and +1 (second); more have one column of zeros and
    ones each.

    With `"unit_kernel"` an input is x = sqrt(D) (u - m) / |u - m|, where u is the image, m the
    mean image of the train set and D = 64, so that the kernel x.x / D of each image is 1.

    Images are chosen by seed and class alone: a larger `count` contains the images of a smaller
    one, and neither `count` nor `test_count` changes what the other chooses.

    Args:
        classes: Two or more different digits from 0 to 9.
        count: Train images PER CLASS, at least 1; each digit has 174 to 183 images in all.
        test_count: Test images per class, disjoint from the train images.
        normalisation: `"unit_kernel"` (default); `"centered"`: u - m; `"none"`: u, 0 to 16.
        seed: Chooses the images, at least 0.

    Returns:
        Data with count train and test_count test samples per class, of dimension 64, ordered class
        after class.

    Raises:
        InvalidProblem: If an argument is outside its range, or there are too few images.

    Source:
        Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998), test part.

    Example:
        >>> data = digits(classes=(3, 8), count=5, test_count=2)
        >>> data
        Data('digits 3/8': 10 train, 4 test, dimension 64)
        >>> np.allclose(np.diag(data.gram()), 1.0)
        True
    """
    from sklearn.datasets import load_digits  # takes a second, which only its users should wait

    chosen = distinct_classes(classes, 10)
    count, test_count = integer("count", count, 1), integer("test_count", test_count, 0)
    seed = integer("seed", seed, 0)
    one_of("normalisation", normalisation, NORMALISATIONS)
    images, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    train, test = [], []
    for label in chosen:
        order = class_order(labels, label, seed)
        # Train images from the front, test images from the back: neither choice moves the other.
        both = "images (train and test together)"
        take(order, count + test_count, what=both, label=label)
        train.append(images[order[:count]])
        test.append(images[order[::-1][:test_count]])
    name = f"digits {'/'.join(map(str, chosen))}"
    return classified(train, test, normalisation=normalisation, name=name)
