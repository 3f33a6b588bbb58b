#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds one artefact of the workspace with cargo and copies it to where meson
wants it, with a list of the sources it was made from, so that ninja starts cargo
only when one of them changed (and not at all for an install as root).

usage: cargo-build.py OUTPUT DEPFILE SOURCE_ROOT KIND NAME CARGO [ARGUMENT...]
"""

import json
import os
import shutil
import subprocess
import sys


def artefact(messages, kind, name):
    """The path that cargo reports for the target `name` of the given kind."""
    for line in messages:
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact":
            continue
        target = message["target"]
        if target["name"] == name and kind in target["kind"]:
            if kind == "bin":
                return message["executable"]
            return next(file for file in message["filenames"] if file.endswith(".so"))
    sys.exit(f"cargo built no {kind} {name}")


def main():
    output, depfile, source_root, kind, name, cargo, *arguments = sys.argv[1:]
    environment = dict(os.environ)
    if os.path.isdir(os.path.join(source_root, "vendor")):
        environment["CARGO_NET_OFFLINE"] = "true"
    # In the source's root: there cargo finds .cargo/config.toml.
    built = subprocess.run(
        [cargo, "build", "--message-format=json-render-diagnostics", *arguments],
        cwd=source_root,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    if built.returncode != 0:
        sys.exit(built.returncode)
    file = artefact(built.stdout.splitlines(), kind, name)

    # "file: source source"; ninja knows the file as the output.
    with open(os.path.splitext(file)[0] + ".d", encoding="utf-8") as source:
        sources = source.readline().split(": ", 1)[1]
    with open(depfile, "w", encoding="utf-8") as target:
        target.write(f"{output}: {sources}")
    shutil.copyfile(file, output)
    shutil.copymode(file, output)


main()
