"""What the supervisor starts: it ends what an earlier process of the same stack left behind, then is the service.

A scheduler that is killed leaves its workers and the tasks in them, and a server its own child on the port.
"""

import os
import sys

from pipeline.folders import Home
from pipeline.local.processes import kill
from pipeline.local.services import recall


def main() -> None:
    """Become the service that is named."""
    stack = recall(Home.from_env())
    if stack is None or stack.supervisor.pid != os.getppid():
        sys.exit("services are started by `make up` and `make demo` only")
    kill(stack.supervisor.orphans)
    service = sys.argv[1]
    command = stack.command(service)
    os.execve(command[0], command, stack.environment(service))  # noqa: S606  it is to take our place


if __name__ == "__main__":
    main()
