"""Is run b better than run a? The out-of-fold scores of both, image by image.

    python -m tools.compare runs/a runs/b

Every image has a score in both runs. The difference, b minus a, is taken for each image and then
averaged, so it does not matter that some images are harder than others. The 95 % interval is a
bootstrap over people: each is drawn with all of their images. "b better" is the share of those
draws in which the mean difference is above 0; draws at exactly 0 count half. It tells how firmly
these people speak for b. It is no probability for other folds, seeds or data: runs that differ
only in their seed differ too.

Images that only one run has, or that have another true mask, are named and left out. A warning says
where the folds differ: the two networks of an image then learnt from different people.

Begin with comparison.py. files.py reads the two runs, text.py makes the table.
"""
