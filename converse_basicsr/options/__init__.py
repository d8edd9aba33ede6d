"""Option files: what they may hold, reading, checking and completing them, and those that come with the package."""
