"""What follows from a solution."""
