"""What a process may do where it runs, tried out: one line of JSON, each attempt with "ok" or the name of its error.

Run as the daemon's user, inside the unit's sandbox and outside of it: what comes out the same says nothing.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import socket

libc = ctypes.CDLL(None, use_errno=True)
STATE, CREDENTIALS = os.environ["STATE_DIRECTORY"], os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")
tried = {}


def attempt(name, what):
    try:
        found = what()
        tried[name] = "ok" if found is None else found
    except OSError as error:
        tried[name] = errno.errorcode.get(error.errno, str(error.errno))


def write(path):
    with open(path, "w") as file:
        file.write("x")


def read(path):
    with open(path) as file:
        file.read(1)


def call(function, *arguments):
    if getattr(libc, function)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), function)


def talk(family, kind):
    socket.socket(family, kind).close()


def set_user_id_bit():
    path = os.path.join(STATE, "tool")
    write(path)
    os.chmod(path, 0o4755)


def run_written_memory():
    try:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except PermissionError as error:
        raise OSError(errno.EPERM, "mmap") from error


def others():
    """The processes that it sees beside itself and those that it comes from."""
    mine = {os.getpid(), os.getppid()}
    return "none" if not [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) not in mine] else "some"


attempt("write into its state directory", lambda: write(f"{STATE}/attempt"))
attempt("write where everybody may", lambda: write("/srv/for-everybody/attempt"))
attempt("leave a file for others in /tmp", lambda: write("/tmp/from-api-health"))
attempt("list a home that everybody may", lambda: os.listdir("/home/somebody") and None)
attempt("read its credential", lambda: read(f"{CREDENTIALS}/secrets_webhook"))
attempt("change its credential", lambda: write(f"{CREDENTIALS}/secrets_webhook"))
attempt("read the folder that credentials come from", lambda: read("/etc/api-health/credentials/webhook"))
attempt("see other processes", others)
attempt("read the kernel's figures", lambda: read("/proc/meminfo"))
attempt("signal process 1", lambda: os.kill(1, 0))
attempt("talk TCP", lambda: talk(socket.AF_INET, socket.SOCK_STREAM))
attempt("talk TCP over IPv6", lambda: talk(socket.AF_INET6, socket.SOCK_STREAM))
attempt("talk to the kernel (netlink)", lambda: talk(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("make a namespace", lambda: call("unshare", 0x10000000))
attempt("write and run a page", run_written_memory)
attempt("change its personality", lambda: call("personality", 0x0040000))
attempt("make a set-user-id file", set_user_id_bit)
attempt("set its priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, 5))
attempt("trace a process", lambda: call("ptrace", 0, 0, None, None))
attempt("see disks and terminals", lambda: "none" if not os.path.exists("/dev/console") else "some")
attempt("dump its memory", lambda: "no" if __import__("resource").getrlimit(4) == (0, 0) else "yes")
print(json.dumps(tried), flush=True)
