"""Plans applied to models of PyTorch and of JAX."""
