"""The structures and functions of _library.py are those of senvec.h, and errors have the right types."""

import ctypes
import os
import pickle
import re
import unittest

import senvec
from senvec import _library

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include", "senvec.h")

TYPES = {
    "senvec_status": ctypes.c_int,
    "senvec_calibration": ctypes.c_int,
    "senvec_precision": ctypes.c_int,
    "senvec_calibration": ctypes.c_int,
    "senvec_normalize": ctypes.c_int,
    "senvec_task": ctypes.c_int,
    "senvec_activation": ctypes.c_int,
    "senvec_truncation": ctypes.c_int,
    "int": ctypes.c_int,
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "uint32_t": ctypes.c_uint32,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}


def fields_of(body):
    """[(name, size)] of a structure's members, from its text in the header."""
    found = []
    body = re.sub(r"/\*.*?\*/", " ", body, flags=re.S)
    for statement in filter(None, (part.strip() for part in body.split(";"))):
        kind, rest = re.fullmatch(r"((?:const )?\w+)\s*(.*)", statement, re.S).groups()
        for name in rest.split(","):
            pointer, name, size = re.fullmatch(r"(\**)(\w+)(?:\[(\d+)\])?", name.strip()).groups()
            if pointer or kind == "senvec_log_fn":
                width = ctypes.sizeof(ctypes.c_void_p)
            elif kind == "char":
                width = int(size)
            else:
                width = ctypes.sizeof(TYPES[kind])
            found.append((name, width))
    return found


@unittest.skipUnless(os.path.exists(HEADER), "installed without the sources")
class Header(unittest.TestCase):
    def test_structures(self):
        with open(HEADER, encoding="utf-8") as file:
            text = file.read()
        for name, structure in _library.STRUCTURES.items():
            body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (name, name), text, re.S)[1]
            ours = [(field[0], ctypes.sizeof(field[1])) for field in structure._fields_ if field[0] != "spare"]
            self.assertEqual(fields_of(body)[: len(ours)], ours, name)
            if structure is not _library.ErrorRecord and structure is not _library.Text:
                extra = sum(width for _, width in fields_of(body)[len(ours) :])
                self.assertLess(extra, _library.SPARE // 2, f"{name}: take over its new fields")

    def test_statuses(self):
        with open(HEADER, encoding="utf-8") as file:
            values = dict(re.findall(r"X\(SENVEC_(\w+), (-\d+),", file.read()))
        ours = {name.removeprefix("SENVEC_"): str(value) for value, (name, _) in _library._STATUS.items()}
        self.assertEqual(values, ours)


class Errors(unittest.TestCase):
    def test_types(self):
        for value, expected in ((-1, ValueError), (-2, MemoryError), (-3, FileNotFoundError), (-4, OSError), (-5, ValueError),
                                (-6, NotImplementedError), (-9, ConnectionError), (-99, senvec.Error)):
            error = _library.failure(_library.ErrorRecord(value, 7, b"what is wrong"), value)
            self.assertIsInstance(error, expected)
            self.assertIsInstance(error, senvec.Error)
            self.assertEqual((str(error), error.offset), ("what is wrong", 7))
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(again), str(again), again.status, again.offset), (type(error), str(error), error.status, 7))

    def test_version(self):
        self.assertRegex(senvec.__version__, r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    unittest.main()
