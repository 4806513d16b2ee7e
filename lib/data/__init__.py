"""Files as people have them -> one table: a row an image, with its masks as run lengths.

Begin with table.py. layouts.py finds the settings that fit a folder. labels.py collects what tables
(label_tables.py), labelling tools (formats/) and mask pictures (masks.py) tell of each image;
pictures.py reads files of any format; plausible.py and fitting.py doubt masks that no nerve can be.
"""
