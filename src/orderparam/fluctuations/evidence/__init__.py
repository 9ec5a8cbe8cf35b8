"""Figures and claims."""
