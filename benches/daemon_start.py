#!/usr/bin/python3
"""Starts a daemon some times, and says how long it took to be ready and what
memory it has then.

daemon_start.py ROUNDS MOUNTS COMMAND PROGRAM [ARGUMENT..]

Each time it waits for READY=1 on the service manager's socket. With MOUNTS it
runs COMMAND, which mounts, and waits until the daemon has said so often that
one is registered. It looks a second later, and prints a list: milliseconds, KiB
resident, KiB of it anonymous.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

rounds, mounts, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
program = sys.argv[4:]
results = []


def drain(manager):
    manager.settimeout(None)
    while manager.recv(4096):
        pass


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
    # Its queue holds ten messages; the sender of one more waits.
    threading.Thread(target=drain, args=(manager,), daemon=True).start()
    if mounts:
        subprocess.run(command, shell=True, check=True)
        left, log = mounts, []
        end = threading.Timer(15, daemon.kill)
        end.start()
        while left > 0:
            log.append(daemon.stderr.readline())
            if not log[-1]:
                sys.exit("%d mounts are not registered:\n%s" % (left, "".join(log)))
            left -= "registered at witness" in log[-1]
        end.cancel()
    time.sleep(1)
    with open("/proc/%d/status" % daemon.pid) as status:
        fields = dict(line.split(":", 1) for line in status)
    memory = [float(fields[name].split()[0]) for name in ("VmRSS", "RssAnon")]
    results.append([ready, *memory])
    daemon.kill()
    daemon.wait()
print(json.dumps(results))
