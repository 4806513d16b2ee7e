"""print/: what a paper needs of a run, as files for LaTeX, Word and the Hugging Face hub.

Comes in: the results of a run (lib/decision/results.py) and the files that the four scripts left.
Goes out: figures and tables, and texts in which each number has the file that it is from.
`python -m tools.print runs/x` makes them. Begin with folder.py.

figures.py draws the page's charts at the widths of a journal, in_grey.py makes them legible without
colour, examples.py chooses frames and panels.py draws them. tables.py has the tables. texts.py
fills in the templates of texts/: they call words.py for phrases, which takes numbers from facts.py,
which finds them in the files that sources.py reads. cards.py makes what the hub reads of a card.
"""
