"""A stranger who may write to the publish folder: `python stranger.py FOLDER FILE`, until it is killed.

Whatever uncnn writes there under a temporary name is replaced by the stranger's file, as fast as can be.
"""

import itertools
import os
import sys

folder, file = map(os.path.abspath, sys.argv[1:])
os.chdir(folder)
for number in itertools.count():
    for name in os.listdir("."):  # noqa: PTH208 (the fastest there is)
        if name.startswith(".uncnn-"):
            mine = f"{file}-{number}"
            os.link(file, mine)
            os.replace(mine, name)  # noqa: PTH105
            if os.path.lexists(mine):  # the two were one file already
                os.unlink(mine)  # noqa: PTH108
