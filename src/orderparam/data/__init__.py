"""Small real data, synthetic tasks, and loaders for arrays, files and folders of the user."""

import orderparam.support.quiet_imports  # noqa: F401 (first: others draw random numbers)

# isort: split
from orderparam.data.cifar10 import cifar10
from orderparam.data.dataset import Data
from orderparam.data.digits import digits
from orderparam.data.files import from_arrays, from_file
from orderparam.data.synthetic import gaussian, teacher

__all__ = ["Data", "cifar10", "digits", "from_arrays", "from_file", "gaussian", "teacher"]
