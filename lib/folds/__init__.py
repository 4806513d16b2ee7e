"""01: a table of images -> the fold of each, so that no score is measured on an image seen before.

In comes the table of all images with their masks, subjects and textures. Out go a group and a
fold for each image, the pairs of near-duplicates, those of them whose labels contradict each other,
and an audit that counts what the folds share.

Begin with assign.py. duplicates.py finds images of the same view; contradictions.py compares their
labels; balance.py makes folds that are alike; audit.py counts; audit_text.py and
contradictions_sheet.py show what was found.
"""
