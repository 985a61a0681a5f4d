#!/usr/bin/env python3
"""Read CEF lines with parsers that other people wrote.

Standard input: one JSON string a line. Standard output: one JSON object for
each line and parser, in the order of the lines:

    {"line": 0, "parser": "cefp", "header": [version, vendor, ...], "fields": [[key, value], ...]}
    {"line": 0, "parser": "pycef", "error": "why it refused the line"}

With --check standard input stays unread: exit 0 when every parser is there and
reads one easy line.

It runs in the virtual environment that `install` makes; lognormalizer is
looked for in root/ beside it.
"""

import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

import cefp
import pycef

HEADER = ("version", "vendor", "product", "device version", "class id", "name", "severity")
# What the two raise on a line that they cannot read: a reading like any other.
REFUSALS = (ValueError, LookupError, AttributeError, TypeError)


def read_pycef(line):
    got = pycef.parse(line)
    if got is None:
        raise ValueError("no CEF")
    names = ("CEFVersion", "DeviceVendor", "DeviceProduct", "DeviceVersion", "DeviceEventClassID", "Name", "Severity")
    header = [got.pop(name) for name in names]
    # Second names of two of them.
    for name in ("DeviceName", "DeviceSeverity"):
        got.pop(name, None)
    return header, list(got.items())


def read_cefp(line):
    got = cefp.parse(line)
    device = got["device"]
    header = [got["version"], device["vendor"], device["product"], device["version"], device["event_class_id"]]
    return header + [got["name"], got["severity"]], list(got["extension"].items())


def read_one_by_one(read, lines):
    for line in lines:
        try:
            header, fields = read(line)
            yield {"header": [str(part) for part in header], "fields": fields}
        except REFUSALS as refusal:
            yield {"error": repr(refusal)}


def lognormalizer():
    """The program and the environment that it runs in."""
    root = pathlib.Path(sys.prefix).parent / "root"
    folders = [str(folder) for folder in root.glob("usr/lib/*-linux-gnu")]
    return root / "usr/bin/lognormalizer", {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


def read_liblognorm(lines):
    """All lines in one process: it answers each with one line of JSON."""
    program, environment = lognormalizer()
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder) / "cef.rulebase"
        rules.write_text("version=2\nrule=:%f:cef%\n", encoding="ascii")
        command = [program, "-r", str(rules), "-e", "json"]
        text = "".join(line.replace("\n", "\v") + "\n" for line in lines)
        done = subprocess.run(command, input=text.encode(), env=environment, capture_output=True, check=True)
    answers = done.stdout.decode().removesuffix("\n").split("\n")
    if len(answers) != len(lines):
        raise SystemExit(f"lognormalizer gave {len(answers)} answers to {len(lines)} lines")
    for line, answer in zip(lines, answers):
        # As pairs, for it keeps both of two equal keys.
        got = dict(json.loads(answer, object_pairs_hook=list))
        if "f" not in got or "\n" in line:
            yield {"error": "no match before " + repr(got.get("unparsed-data", "")[:60])}
            continue
        parts = dict(got["f"])
        names = ("DeviceVendor", "DeviceProduct", "DeviceVersion", "SignatureID", "Name", "Severity")
        # It takes version 0 alone and does not say so.
        yield {"header": ["0"] + [parts[name] for name in names], "fields": parts["Extensions"] or []}


def readings(lines):
    return {
        "pycef": read_one_by_one(read_pycef, lines),
        "cefp": read_one_by_one(read_cefp, lines),
        "liblognorm": read_liblognorm(lines),
    }


def main():
    logging.disable(logging.CRITICAL)  # pycef logs a warning for each line that it refuses
    if sys.argv[1:] == ["--check"]:
        for parser, rows in readings(["CEF:0|a|b|1|c|d|1|xsuser=ann"]).items():
            if any("error" in row for row in rows):
                raise SystemExit(f"{parser} does not read an easy line")
        return
    lines = [json.loads(line) for line in sys.stdin]
    for parser, rows in readings(lines).items():
        for number, row in enumerate(rows):
            print(json.dumps({"line": number, "parser": parser, **row}))


if __name__ == "__main__":
    main()
