# Starts a program that hears nothing of the kernel's news about links and addresses (NETLINK_ROUTE answers EACCES).
# Chromium ends whatever is under way when an address comes or goes, up to some seconds late; a test raises tunnels
# all the time. Without that socket it takes the network for up and leaves its requests alone.
import ctypes, os, platform, struct, sys

SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
filter = b"".join(struct.pack("HBBI", *line) for line in [
    (LOAD, 0, 0, 0), (EQUAL, 0, 5, SOCKET),            # seccomp_data.nr
    (LOAD, 0, 0, 16), (EQUAL, 0, 3, 16),               # the first argument: AF_NETLINK
    (LOAD, 0, 0, 32), (EQUAL, 0, 1, 0),                # the third: NETLINK_ROUTE
    (RETURN, 0, 0, 0x00050000 | 13), (RETURN, 0, 0, 0x7FFF0000),
])
held = ctypes.create_string_buffer(filter, len(filter))

class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

program = Program(len(filter) // 8, ctypes.cast(held, ctypes.c_void_p))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)):
    sys.exit("still.py: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
