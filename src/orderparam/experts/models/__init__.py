"""Small reference models in PyTorch, with the data they are trained on."""
