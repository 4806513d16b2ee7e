"""Every setting of a run: what there is, what is allowed, and how it is read.

Comes in: a settings file and `key=value` words. Goes out: a `Config`, or one InputError with all
that is wrong. Begin with fields.py, the table of all settings; read.py reads them.
"""
