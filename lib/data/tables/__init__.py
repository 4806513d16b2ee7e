"""Tables of labels, in any spelling -> the labels of each image.

Begin with labels.py. cells.py reads a file into texts and tells its columns; runs.py and
run_lengths.py read its run lengths, mask_files.py the mask pictures that it names.
"""
