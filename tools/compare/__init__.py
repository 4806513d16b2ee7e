"""Is run b better than run a? The out-of-fold scores of runs, image by image.

    python -m tools.compare runs/a runs/b
    python -m tools.compare runs/*

Every image has a score in both runs. The difference, b minus a, is taken for each image and then
averaged, so it does not matter that some images are harder than others. The 95 % interval is a
bootstrap over people: each is drawn with all of their images. "b better" is the share of those
draws in which the mean difference is above 0; draws at exactly 0 count half. It tells how firmly
these people speak for b. It is no probability for other folds, seeds or data: runs that differ
only in their seed differ too.

Three runs or more make a table with a row a run, the best first: score, training time, memory, and
the settings that differ. The first run you name is what the others are held against. The more runs
you try, the further the luckiest is ahead by chance: their intervals and p are corrected for that.

Both write a page too, with learning curves and score against time: compare.html beside the runs.

Images that only one run has, or that have another true mask, are named and left out. A warning says
where the folds differ: the two networks of an image then learnt from different people.

Begin with comparison.py for two runs and several.py for more. files.py reads the runs, text.py
makes the tables, charts.py and page.py the page.
"""
