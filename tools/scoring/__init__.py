"""A finished run becomes a folder that makes masks of images, without torch or this project.

Comes in: config.yaml, folds.csv, the networks and decision.json of a run. Goes out: runs/x/scoring.
Begin with export.py, which writes that folder. graph.py turns the networks into one ONNX graph,
samples.py makes the samples of the self-test. pipeline/ holds the programs that are copied as they
are: they import nothing of this project, so that they run where only the folder is.
"""
