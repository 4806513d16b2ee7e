"""Mask pictures -> the labels of each image, and the doubt of masks that no nerve can be.

Begin with files.py. folders.py tells which pictures are images and which masks, pairs.py which mask
is of which image, values.py what the numbers or colours mean. plausible.py and fitting.py look at
the masks of every layout, drawn or not: inverted ones, outlines, dots, copies, mirrored ones.
"""
