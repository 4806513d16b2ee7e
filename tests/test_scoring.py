"""score.py as a hospital runs it, and held to what lib does to the same files."""
