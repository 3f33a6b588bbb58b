#!/usr/bin/python3
"""Starts a daemon some times, and says how long it took to be ready and what
memory it has then.

daemon_start.py ROUNDS MOUNTS PROGRAM [ARGUMENT..]

Each time it waits for READY=1 on the service manager's socket, then until the
daemon has said so often as there are MOUNTS that one is registered, then a
second more. Prints a list: milliseconds, KiB resident, KiB of it anonymous.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time

rounds, mounts = int(sys.argv[1]), int(sys.argv[2])
program = sys.argv[3:]
results = []
for _ in range(rounds):
    directory = tempfile.mkdtemp()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(directory + "/notify")
    manager.settimeout(20)
    environment = {**os.environ, "NOTIFY_SOCKET": directory + "/notify"}
    start = time.monotonic()
    daemon = subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True)
    while b"READY=1" not in manager.recv(4096):
        pass
    ready = (time.monotonic() - start) * 1000
    left = mounts
    while left > 0:
        line = daemon.stderr.readline()
        if not line:
            sys.exit("the daemon has ended")
        left -= "registered at witness" in line
    time.sleep(1)
    with open("/proc/%d/status" % daemon.pid) as status:
        fields = dict(line.split(":", 1) for line in status)
    memory = [float(fields[name].split()[0]) for name in ("VmRSS", "RssAnon")]
    results.append([ready, *memory])
    daemon.kill()
    daemon.wait()
print(json.dumps(results))
