"""Scaling rules: roles, shapes, recipes and the plan made from them."""
