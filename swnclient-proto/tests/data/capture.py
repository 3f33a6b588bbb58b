#!/usr/bin/python3
"""Makes every witness call that the tests read the bytes of. See README.md.

capture.py SECURITY SAMBA-CLUSTER

SECURITY is "ntlm" or "spnego"; SAMBA-CLUSTER is the lab's script, by which the
witness is told to send notifications. The calls below and the tests go
together: the tests expect these calls in this order.
"""

import json
import subprocess
import sys

from samba import NTSTATUSError, WERRORError, credentials, param
from samba.dcerpc import witness

security, samba_cluster = sys.argv[1:]
lp = param.LoadParm()
lp.load_default()
creds = credentials.Credentials()
creds.guess(lp)
creds.set_username("swnuser")
creds.set_domain("WITDOM")
creds.set_password("swnpass")
creds.set_workstation("CAPTURE")
creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
# Integrity: signed, but not encrypted.
conn = witness.witness(
    "ncacn_ip_tcp:10.77.0.12[%s,sign,target_hostname=witclu]" % security, lp, creds
)


def refused(call, *args):
    try:
        call(*args)
    except WERRORError as error:
        print("  refused:", error.args)
    else:
        sys.exit("the server did not refuse")


def tell(command, *args):
    command = [samba_cluster, "node", "1", "net", "witness", command, "--witness-apply-to-all"]
    subprocess.run([*command, *args], check=True, stdout=subprocess.DEVNULL)


def respond(response):
    tell("force-response", "--witness-forced-response=" + json.dumps(response))


def notified(handle):
    response = conn.AsyncNotify(handle)
    if response is None:
        print("  nothing")
        return
    print("  type", response.type, "length", response.length, "count", response.num)
    for message in response.messages:
        if response.type == witness.WITNESS_NOTIFY_RESOURCE_CHANGE:
            print("   ", message.type, message.name)
        else:
            print("   ", [(hex(a.flags), a.ipv4, a.ipv6) for a in message.addr])


for i in conn.GetInterfaceList().interfaces:
    print(i.group_name, hex(i.version), i.state, i.ipv4, i.ipv6, i.flags)

refused(conn.Register, witness.WITNESS_V1, "nosuch", "10.77.0.101", "capture")
refused(conn.RegisterEx, witness.WITNESS_V2, "witclu", None, "10.77.0.99", "capture", 0, 30)
refused(conn.RegisterEx, witness.WITNESS_V1, "witclu", None, "10.77.0.101", "capture", 0, 30)
refused(conn.Register, witness.WITNESS_V1, None, "10.77.0.101", "capture")
handle = conn.Register(witness.WITNESS_V1, "witclu", "10.77.0.101", "capture")
print("version 1:", handle.handle_type, handle.uuid)
conn.UnRegister(handle)
refused(conn.UnRegister, handle)

handle = conn.RegisterEx(
    witness.WITNESS_V2,
    "witclu.wit.test",
    "data",
    "10.77.0.101",
    "capture",
    witness.WITNESS_REGISTER_IP_NOTIFICATION,
    2,
)
print("version 2:", handle.handle_type, handle.uuid)
refused(conn.AsyncNotify, handle)  # The keep-alive: ERROR_TIMEOUT.
tell("force-response")
notified(handle)
resources = [(255, "10.77.0.101"), (1, "10.77.0.102"), (0, "Z\u00fcrich")]
resources = [{"type": state, "name": name} for state, name in resources]
respond({"result": 0, "response": {"type": 1, "messages": resources}})
notified(handle)
one = [{"flags": 9, "ipv4": "10.77.0.102"}]
several = [
    {"flags": 0x12, "ipv6": "fd00:77::101"},
    {"flags": 0x0B, "ipv4": "10.77.0.103", "ipv6": "fd00:77::103"},
    {"flags": 9, "ipv4": "10.77.0.102"},
]
for kind in 2, 3, 4:
    for addresses in one, several:
        respond({"result": 0, "response": {"type": kind, "messages": [addresses]}})
        notified(handle)
lists = [
    [{"flags": 9, "ipv4": "10.0.10.1"}, {"flags": 10, "ipv6": "fd00::10:0:10:2"}],
    [{"flags": 0x80000009, "ipv4": "10.0.20.1"}],
]
respond({"result": 0, "response": {"type": 2, "messages": lists}})
notified(handle)
respond({"result": 0, "response": {"type": 2, "messages": []}})
notified(handle)
respond({"result": 1168})
refused(notified, handle)
tell("share-move", "--witness-new-ip=10.77.0.102")
notified(handle)
tell("client-move", "--witness-new-ip=10.77.0.101")
notified(handle)
conn.UnRegister(handle)

try:
    conn.request(9, b"")
except NTSTATUSError as error:
    print("fault:", error.args)
