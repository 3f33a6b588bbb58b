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
        if kind == "bin" and target["name"] == name and kind in target["kind"]:
            return message["executable"]
        # The crate it is made of has the same name, and no such file.
        archives = [file for file in message["filenames"] if file.endswith(".a")]
        if kind == "staticlib" and target["name"] == name and archives:
            return archives[0]
    sys.exit(f"cargo built no {kind} {name}")


def main():
    output, depfile, source_root, kind, name, cargo, *arguments = sys.argv[1:]
    environment = dict(os.environ)
    if os.path.isdir(os.path.join(source_root, "vendor")):
        environment["CARGO_NET_OFFLINE"] = "true"
    command = [cargo, "build", *arguments]
    if kind == "staticlib":
        # Whatever the crate's own kind is.
        command = [cargo, "rustc", "--lib", "--crate-type", "staticlib", *arguments]
    # In the source's root: there cargo finds .cargo/config.toml.
    built = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"],
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
