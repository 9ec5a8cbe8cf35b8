"""The finite system."""
