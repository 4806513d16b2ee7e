"""01, 04: how far two people's labels agree, and whether the network is as good as one of them.

Comes in: `second_reader`, labels of the same images by a second person, which 01 turns into
second_reader.csv; else the pairs of nearly the same picture in duplicates.csv, which were labelled
twice. Goes out: readers.csv and the key "readers" of decision.json.

Begin with rows.py, which holds two readings and the network's mask against each other. second.py
reads the second labels in 01, twins.py takes those of twins; statistics.py has the formulas,
summary.py applies them, text.py tells the result.
"""
