"""What all pages share: self-contained, in light and dark, with charts that need no network.

Begin with template.py. vega.py turns charts into specifications and PNGs, words.py explains terms,
pages/ has the styles and macros.
"""
