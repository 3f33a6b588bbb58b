#!/usr/bin/python3
"""Samba's witness client, by python3-samba, as a program to be measured.

samba_client.py SERVES WITNESS NET_NAME USER PASSWORD DOMAIN

SERVES is the address of the node that serves the share, WITNESS that of the
witness, or "listed" for the first one that SERVES lists. Takes orders on its
standard input, a line each, and answers with a line of JSON:

  register N   N times: the list from SERVES and a registration at the witness,
               each over a connection of its own, then UnRegister
  again N      N times: a registration at the witness over a connection of its
               own, then UnRegister, as after the loss of another witness
  hold N       the same, but keeps all of them and their connections

What is after the registration does not count.
"""

import json
import sys
import time

from samba import credentials, param
from samba.dcerpc import witness

serves, chosen, net_name, user, password, domain = sys.argv[1:]
lp = param.LoadParm()
lp.load_default()
creds = credentials.Credentials()
creds.guess(lp)
creds.set_username(user)
creds.set_domain(domain)
creds.set_password(password)
creds.set_workstation("BENCH")
creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
held = []


def connect(address):
    # Asks the endpoint mapper for the port first.
    return witness.witness("ncacn_ip_tcp:%s[ntlm,seal]" % address, lp, creds)


def find_witness():
    listed = connect(serves).GetInterfaceList().interfaces
    usable = [
        i.ipv4
        for i in listed
        if i.flags & witness.WITNESS_INFO_WITNESS_IF
        and i.state == witness.WITNESS_STATE_AVAILABLE
        and i.ipv4 != serves
    ]
    return usable[0] if chosen == "listed" else chosen


def register(address):
    connection = connect(address)
    flags = witness.WITNESS_REGISTER_IP_NOTIFICATION
    handle = connection.RegisterEx(
        witness.WITNESS_V2, net_name, "data", serves, "bench", flags, 120
    )
    return connection, handle


def end(connection, handle):
    connection.UnRegister(handle)


def keep(connection, handle):
    held.append((connection, handle))


def timed(count, what, afterwards):
    samples = []
    for _ in range(count):
        start, wall, cpu = time.time(), time.monotonic(), time.process_time()
        result = what()
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        samples.append({"start": start, "wall": wall, "cpu": cpu})
        afterwards(*result)
    return samples


print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    order, count = line.split()
    answer = {
        "register": lambda n: timed(n, lambda: register(find_witness()), end),
        "again": lambda n: timed(n, lambda: register(chosen), end),
        "hold": lambda n: timed(n, lambda: register(chosen), keep),
    }[order](int(count))
    print(json.dumps(answer), flush=True)
