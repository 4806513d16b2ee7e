"""Files as people have them -> one table: a row an image, with its masks as run lengths.

Comes in: a folder or zip of a known layout. Goes out: the table that 01 divides into folds, and the
pixels of each image. Begin with layouts.py; table.py joins labels and images.
"""
