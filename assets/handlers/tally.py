"""A warm handler with a context: counts words in an SQLite file and answers how often each came.

The connection is made once in each process, and so once in each slot of a worker. Every function
uses it without being handed it, as with `threading.local` in a program of threads; but a crash
takes one slot's connection along and nothing else.
"""

import os
import sqlite3

from ganger_handler import Failed, serve

connection = sqlite3.connect(os.environ.get("TALLY_DB", "tally.db"), isolation_level=None, timeout=30)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, times INTEGER)")


def answer(task):
    word = task["args"]
    if not isinstance(word, str) or not word:
        raise Failed("a word is needed, as in `ganger submit --kind handler:tally ::: apple`")
    return {"word": word, "times": count(word), "by": os.getpid()}


def count(word):
    found = connection.execute(
        "INSERT INTO words VALUES (?, 1) ON CONFLICT (word) DO UPDATE SET times = times + 1"
        " RETURNING times",
        (word,),
    )
    return found.fetchone()[0]


serve(answer)
