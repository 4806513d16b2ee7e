"""02: the network of one fold.

Comes in: the table of images with their folds. Goes out: fold{k}/model.pt and log.csv, and state.pt
to go on from. Begin with loop.py; learner.py makes one update, validation.py scores the fold.
"""
