"""03: networks and images -> a probability map for each image, at the image's own size.

In comes fold{k}/model.pt of each fold, and the table of images with their files. Out go the files
oof_fold{k}.npz and test.npz: each image of a fold by the network that never saw it, each test image
by the mean of all. Several runs are averaged in place of networks (`ensemble`).

Begin with predict.py, one batch on its way through the networks. tta.py shows an image in several
views; prediction_file.py says what a file is made from; pieces.py writes it so that a stop loses
little and several processes share the work.
"""
