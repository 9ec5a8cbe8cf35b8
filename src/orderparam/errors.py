"""The errors of the library: each says what was given, what is allowed and what to do."""


class OrderParamError(Exception):
    """Base class of every error that the library raises on purpose."""


class InvalidProblem(OrderParamError, ValueError):
    """A value of a problem, method, save plan or study is outside its allowed range."""


class UnknownArgument(InvalidProblem, TypeError):
    """A keyword that a class or function does not know, by misspelling most likely."""


class UnsupportedCombination(OrderParamError, NotImplementedError):
    """Each part is valid, but no method covers the combination; the message names what is."""


class NotConverged(OrderParamError, RuntimeError):
    """A result was computed, but not to its stated accuracy."""


class Diverged(OrderParamError, FloatingPointError):
    """A quantity grew without bound or became non-finite; the message names step and quantity."""


class CapacityExceeded(OrderParamError, MemoryError):
    """More directions are known in a space than its samples (or the memory) can hold."""


class SeparableData(OrderParamError, ArithmeticError):
    """The data are linearly separable, so the requested estimator does not exist."""


class InterpolationThreshold(OrderParamError, ArithmeticError):
    """The requested point lies on an interpolation threshold, where the answer is singular."""


class MissingExtra(OrderParamError, ImportError):
    """A part of the library needs a package that is not installed; the message names the extra."""


class IncompatibleSolutions(OrderParamError, ValueError):
    """Two results do not describe the same problem, variables or coordinates."""


class MissingFile(OrderParamError, FileNotFoundError):
    """There is no file at the place that was named."""


class CorruptFile(OrderParamError, OSError):
    """A file is truncated, altered or not in a format that the library can read."""


class UnwritableFile(OrderParamError, OSError):
    """A file cannot be written: the disk is full, the name too long, or it is not allowed."""


class Busy(OrderParamError, BlockingIOError):
    """Another process is working in the same run folder."""
