"""Faults made on purpose, again and again, and a table of what survived: `python -m tests.hammer`.

Comes in: an empty folder, a source of chance, and the project as it stands.
Goes out: for each kind of fault, how many were tried and which ones lost something.
Begin with `table.py`; each other module is one kind of fault.
"""
