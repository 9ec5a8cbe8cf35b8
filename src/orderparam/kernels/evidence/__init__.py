"""Figures, captions, claims and measures."""
