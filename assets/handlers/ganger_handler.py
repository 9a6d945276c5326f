"""The loop of a warm handler for ganger, without dependencies: copy it beside your handler.

    from ganger_handler import Failed, serve

    connection = sqlite3.connect("my.db")      # the context: made once, before the loop

    def answer(task):                          # called for each task, one at a time
        if not task["args"]:
            raise Failed("there is no word")   # fails for good
        return connection.execute(...)         # what can be JSON is the answer

    serve(answer)
"""

import json
import os
import sys
import traceback


class Failed(Exception):
    """Says that a task failed. Without `retry` it is not tried again, however many retries it has."""

    def __init__(self, message, retry=False):
        super().__init__(message)
        self.retry = retry


def serve(answer):
    """Reads tasks and writes what `answer` returns, until ganger closes standard input."""
    # Answers go where standard output was. Whatever else is printed, also by a library or by a
    # program that is started, goes to standard error, which is the output of the task.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    encode = json.JSONEncoder(separators=(",", ":")).encode
    decode = json.JSONDecoder().decode
    for line in sys.stdin.buffer:
        task = decode(line.decode())
        try:
            said = encode({"task": task["task"], "ok": answer(task)})
        except Failed as failed:
            error = {"task": task["task"], "error": str(failed), "retry": failed.retry}
            said = encode(error)
        except Exception as error:  # a mistake in the handler: the next task may do better
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
            said = encode({"task": task["task"], "error": text, "retry": True})
        # Before the answer: what is written after it belongs to the next task.
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(said.encode())
        answers.write(b"\n")
        answers.flush()
