"""How far a mask can be trusted, without its truth.

In: the map that a mask was drawn from; the encoder's features. Out: the score to expect of the
mask, and how unlike the image is to those that the networks know. Begin with expected.py.
"""
