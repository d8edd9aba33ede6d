"""Images, LMDB folders and files that appear whole or not at all; nothing here knows torch."""
