"""The master of the tutorial that so many start with: a queue of tasks and a queue of results,
published by a manager under a shared password. `ganger bench squares` measures ganger beside it.

    python3 master.py TASKS WORKERS

Prints its port, waits for a line, puts the tasks and takes their results; then prints `done`.
"""

import queue
import random
import sys
from multiprocessing.managers import BaseManager

task_queue = queue.Queue()
result_queue = queue.Queue()


def get_task_queue():
    return task_queue


def get_result_queue():
    return result_queue


class QueueManager(BaseManager):
    pass


def main(tasks, workers):
    QueueManager.register("get_task_queue", callable=get_task_queue)
    QueueManager.register("get_result_queue", callable=get_result_queue)
    manager = QueueManager(address=("127.0.0.1", 0), authkey=b"abc")
    manager.start()
    print(manager.address[1], flush=True)
    sys.stdin.readline()
    task, result = manager.get_task_queue(), manager.get_result_queue()
    for _ in range(tasks):
        task.put(random.randint(0, 10000))
    for _ in range(tasks):
        result.get(timeout=60)
    print("done", flush=True)
    for _ in range(workers):
        task.put(None)
    for _ in range(workers):
        result.get(timeout=60)
    manager.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
