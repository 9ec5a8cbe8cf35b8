"""Checks of arguments, memory, progress and optional packages."""
