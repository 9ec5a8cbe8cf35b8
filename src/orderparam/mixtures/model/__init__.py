"""What a user describes."""
