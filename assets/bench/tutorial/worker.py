"""A worker of the tutorial: takes numbers from the task queue and puts their squares into the result
queue.

    python3 worker.py PORT
"""

import sys
from multiprocessing.managers import BaseManager


class QueueManager(BaseManager):
    pass


def main(port):
    QueueManager.register("get_task_queue")
    QueueManager.register("get_result_queue")
    manager = QueueManager(address=("127.0.0.1", port), authkey=b"abc")
    manager.connect()
    task, result = manager.get_task_queue(), manager.get_result_queue()
    print("ready", flush=True)
    while True:
        n = task.get(timeout=60)
        if n is None:
            break
        result.put("%d * %d = %d" % (n, n, n * n))
    result.put("end")


if __name__ == "__main__":
    main(int(sys.argv[1]))
