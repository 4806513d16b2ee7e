"""The files that the steps hand on: one module for each, with a save and a load.

In comes what a step made. Out comes, in the next step, the same, checked: a file that is missing,
damaged, of an older version or of other inputs is named with the step to run.

Begin with run.py, which knows where each file lies. folds.py is what 01 leaves, model.py what 02
leaves, probabilities.py what 03 leaves, decision.py and submission.py what 04 leaves.
"""
