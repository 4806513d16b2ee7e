"""report.html: one self-contained page to inspect the out-of-fold scores of a run.

Comes in: the results of a run (lib/decision/results.py). Goes out: report.html and plots/*.png. 04
writes them; `python -m tools.report runs/x` makes them anew. Begin with page.py.

tables.py makes the figures of the page, the *_charts.py its charts, pictures.py the frames,
explorer.py the counts behind the sliders, readers.py the section on readers. pages/ holds a
template for each section, and the scripts of the page; tools/page/ has what all pages share.
"""
