#!/usr/bin/python3
"""Encodes with Samba's own NDR what the lab's servers don't send: IPv6
interfaces, and every response in big-endian. See README.md.

pack.py DIRECTORY
"""

import pathlib
import sys

from samba.dcerpc import misc, witness

out = pathlib.Path(sys.argv[1])


def write(name, call):
    for order in "little", "big":
        stub = call.__ndr_pack_out__(bigendian=order == "big")
        (out / f"{name}.{order}").write_bytes(stub)


def interface(name, version, state, ipv4, ipv6, flags):
    info = witness.interfaceInfo()
    info.group_name, info.version, info.state = name, version, state
    info.ipv4, info.ipv6, info.flags = ipv4, ipv6, flags
    return info


def notify(kind, messages):
    response = witness.notifyResponse()
    response.type, response.num, response.messages = kind, len(messages), messages
    call = witness.AsyncNotify()
    call.out_response, call.result = response, 0
    return call


call = witness.GetInterfaceList()
interfaces = witness.interfaceList()
interfaces.interfaces = [
    interface("NODE1", 0x00020000, 1, "192.0.2.1", "2001:db8::1", 7),
    interface("NODE\u00df", 0xFFFFFFFF, 0xFF, "0.0.0.0", "2001:db8::2", 2),
    interface("NODE3", 0x00010001, 0, "192.0.2.3", "::", 5),
]
interfaces.num_interfaces = 3
call.out_interface_list, call.result = interfaces, 0
write("interfaces", call)

call = witness.RegisterEx()
handle = misc.policy_handle()
handle.handle_type, handle.uuid = 1, misc.GUID("00112233-4455-6677-8899-aabbccddeeff")
call.out_context_handle, call.result = handle, 0
write("handle", call)

change = witness.ResourceChange()
change.type, change.name = 255, "node1"
write("resource-change", notify(witness.WITNESS_NOTIFY_RESOURCE_CHANGE, [change]))

addresses = witness.IPaddrInfoList()
info = witness.IPaddrInfo()
info.flags, info.ipv4, info.ipv6 = 0x0B, "192.0.2.1", "2001:db8::1"
addresses.addr, addresses.num = [info], 1
write("client-move", notify(witness.WITNESS_NOTIFY_CLIENT_MOVE, [addresses]))
