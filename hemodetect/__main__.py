"""``python -m hemodetect`` is the console script ``hemodetect``."""

import sys

from hemodetect.cli import main

if __name__ == "__main__":
    sys.exit(main())
