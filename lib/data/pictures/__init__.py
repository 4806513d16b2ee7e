"""Files of any format -> arrays of grey values, and the refusal of what would give wrong ones.

Begin with arrays.py, which every step reads images and masks by. rasters.py (what Pillow opens),
dicom.py, volumes.py and clips.py each read a kind of file; greys.py makes 8 bits of any depth.
tree.py lists a folder without its junk; reading.py reads many images side by side.
"""
