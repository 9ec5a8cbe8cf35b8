"""Equations that several methods share."""
