"""Files as people have them -> one table: a row an image, with its masks as run lengths.

Begin with table.py. layouts.py finds the settings that fit a folder. labels.py collects
what tells of each image's labels: tables (the room tables/), files of labelling tools (formats/)
and mask pictures (masks/). pictures/ reads files of any format.
"""
