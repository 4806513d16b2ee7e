"""What any program needs: errors, files, progress, processes, threads, the device.

Knows no setting and no image. Begin with errors.py and files.py.
"""
