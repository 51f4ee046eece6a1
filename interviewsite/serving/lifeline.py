"""Runs a program that must not outlive the process that asked for it.

Usage: lifeline.py PARENT_PID SIGNAL PROGRAM [ARGUMENT...]

The kernel sends SIGNAL to the program when its parent dies, however it dies (``PR_SET_PDEATHSIG`` stays over
``exec``; Linux only, elsewhere the program is run as it is). Done in a program of its own, since running
Python code between ``fork`` and ``exec`` is unsafe in a process with threads. Uses nothing of the project.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent_pid, signal_number = int(sys.argv[1]), int(sys.argv[2])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent_pid:  # it died before the kernel knew whom to tell
            sys.exit(1)
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
