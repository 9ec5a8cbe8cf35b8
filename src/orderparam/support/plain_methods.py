"""Methods of values that are called from Python a few times in every solve."""


class PlainMethods:
    """Mixed into modules of Equinox: methods are bound as Python binds them.

    Equinox makes a module of every method that is looked up, so that it may be handed to compiled
    functions as a value. That takes 0.1 ms, longer than most methods here, and none is handed on.
    """

    __getattribute__ = object.__getattribute__
