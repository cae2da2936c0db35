"""Stops single threads of a process for good, as a lock that is never released would: python3 stall.py TID...

By ptrace, since a signal stops all threads or none. Prints "stopped", and ends when the process is gone.
"""

import ctypes
import os
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) == -1:
        error = ctypes.get_errno()
        sys.exit(f"ptrace {request:#x} of {tid}: {os.strerror(error)}")


for tid in map(int, sys.argv[1:]):
    ptrace(PTRACE_SEIZE, tid)
    ptrace(PTRACE_INTERRUPT, tid)
    os.waitpid(tid, WALL)
print("stopped", flush=True)
# Who traces a thread has to take note of its end, or the process stays as a zombie.
while True:
    try:
        os.waitpid(-1, WALL)
    except ChildProcessError:
        break
