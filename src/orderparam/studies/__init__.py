"""Studies: files that state a claim and how it is tested, their runner and their store."""
