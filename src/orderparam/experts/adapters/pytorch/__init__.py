"""Scaling plans for PyTorch models."""
