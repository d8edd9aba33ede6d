"""Processes of one run: starting them, joining them, and stopping them with everything saved."""
