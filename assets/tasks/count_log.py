"""A warm handler that counts a log file: lines, errors, and the page asked for most.

The task is the path of the file, never its content: the worker reads it where it lies. The pattern
is compiled once in each process.
"""

import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "handlers"))
from ganger_handler import Failed, serve

request = re.compile(rb"GET (\S+) (\d\d\d)$")


def answer(task):
    pages = collections.Counter()
    lines = errors = 0
    try:
        with open(os.fsencode(task["args"]), "rb") as log:
            for line in log:
                lines += 1
                found = request.search(line)
                if found:
                    pages[found[1].decode()] += 1
                    errors += found[2] >= b"500"
    except OSError as error:
        # The next worker may have the folder, or this one a moment later.
        raise Failed(f"{task['args']}: {error.strerror}", retry=True)
    top = pages.most_common(1)[0][0] if pages else None
    return {"log": task["args"], "lines": lines, "errors": errors, "top": top}


serve(answer)
