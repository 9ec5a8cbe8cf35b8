"""The action of dynamical mean-field theory of deep linear networks, for one sample."""
