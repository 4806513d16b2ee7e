"""A phantom: drawn ultrasound frames of a nerve, where no real data are at hand.

Comes in: a number of people and frames, a seed. Goes out: a data set in one of three layouts, with
the true masks of its test images in truth/. Begin with dataset.py, then render.py.

A person is a piece of neck: muscles, fascia, a vessel and, along a stretch of it, the roots of the
plexus. The frames are one drifting sweep of the probe, so neighbours are near-duplicates, as in a
video. A twin shows the same place as its image under an empty label, as in the real set.

    plan -> anatomy -> tissue; sweep; echo -> render, masks -> formats -> files

The bytes do not depend on the processor. NumPy's basic operations round alike everywhere.
Logarithms, powers and filters do not, so they are tables and exact sums (rounding.py).
"""
