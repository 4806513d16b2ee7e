"""What all pages share: self-contained, in light and dark, with charts that need no network.

Begin with template.py. vega.py turns charts into specifications and PNGs, curves.py draws learning
curves, words.py explains terms, made.py tells the day and the commit. pages/ has the page that
others extend, its styles, macros, and the scripts that draw charts, fit tables and save both.
"""
