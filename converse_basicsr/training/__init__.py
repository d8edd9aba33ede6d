"""Training and testing: the loop, resuming, and validation."""
