"""Ensembles of finite networks, trained by an ordinary route."""
