"""Files of weights and of training states: reading, choosing, writing, and which are released."""
