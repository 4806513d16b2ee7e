"""What all pages share: self-contained, in light and dark, with charts that need no network.

Begin with template.py. vega.py turns charts into specifications and PNGs, curves.py draws learning
curves, words.py explains terms. pages/ has the page that others extend, its styles, and macros.
"""
