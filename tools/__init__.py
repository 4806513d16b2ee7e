"""What stands beside the four scripts. `python -m tools.X --help` explains each command.

phantom/ draws a data set where no real one is at hand. report/ writes report.html. scoring/ turns
a run into a folder that needs neither torch nor this project. watch/ shows a training while it
goes on. compare.py tells whether one run is better than another, submission/ checks, blends and
compares submission files. environment.sh makes .venv.

A tool imports from lib; lib never imports a tool. A script imports a tool only for what a person
asked for.
"""
