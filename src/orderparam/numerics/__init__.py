"""Numbers that several families need: activations, Gaussian averages, linear algebra."""
