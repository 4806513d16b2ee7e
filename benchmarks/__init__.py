"""Programs that measure; docs/benchmarks.md has their figures. `python -m benchmarks.X --help`."""

import lib  # noqa: F401  # it sets up threads, which it must do before PyTorch is imported
