"""04: probabilities -> masks, by a rule that is chosen on other images than it is scored on.

Comes in: oof_fold{k}.npz, test.npz, folds.csv. Goes out: a rule, the masks, and scores with
intervals over subjects. Begin with rule.py; search.py chooses one, nested.py scores it.
measures.py has what is told of a mask besides IoU and Dice, boundary.py its distances.
"""
