"""What a person can look at while 02 trains, and none of which changes the training.

Comes in: what lib/training/watch.py tells. Goes out: fold{k}/first_batch.png and speed.csv, and the
rows and settings in TensorBoard or MLflow, where `logger` names one. Begin with watch.py.
"""
