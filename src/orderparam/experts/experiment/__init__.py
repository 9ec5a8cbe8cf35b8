"""The finite system, trained by an ordinary route."""
