"""Run by its path: the folder of this file is then the package `shim`."""

import importlib
import os
import sys

if __name__ == "__main__":
    # Last in the path: no file beside this folder can stand in for one of the standard library.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    importlib.import_module("shim.life").main(sys.argv[1:])
