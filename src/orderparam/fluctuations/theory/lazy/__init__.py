"""The limit of weak feature learning: networks whose kernels are random, and do not move."""
