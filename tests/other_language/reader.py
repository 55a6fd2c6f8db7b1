#!/usr/bin/env python3
"""Looks into a region of ringway, by docs/layout.md: what it carries, who has its seats, what waits in it.

Python has no acquire loads. Of a region in use, this is exact only where the processor keeps loads in order (x86-64).
"""
import mmap
import os
import struct
import sys

VERSION, ENDIAN_MARK, KINDS, LIMIT = 5, 0x01020304, {1: "spsc", 2: "bytes", 3: "seqlock"}, 1 << 62
HEADER = struct.Struct("=8s4I13Q64s2Q")
FIELDS = """magic endian version word_bits kind padding page_size region_len lanes rows lanes_offset rows_offset
    data_offset data_len capacity stride type_size type_align type_name schema_hash schema_len""".split()


def check(is_so, why):
    if not is_so:
        raise ValueError(why)


def fnv(data):
    total = 0xCBF29CE484222325
    for byte in data:
        total = (total ^ byte) * 0x100000001B3 % (1 << 64)
    return total


def bare(word, expected):
    """A stamp or header without its death notice, which lies in the place of those bits of `expected`."""
    return word & (1 << 43) - 1 | expected >> 43 << 43 if word >> 63 else word


class Region:
    def __init__(self, file):
        length = os.fstat(file.fileno()).st_size
        check(length >= 512, f"no region: it has {length} bytes")
        self.bytes = mmap.mmap(file.fileno(), length, mmap.MAP_SHARED, mmap.PROT_READ)
        self.__dict__.update(zip(FIELDS, HEADER.unpack_from(self.bytes)))
        check(self.magic == b"ringway\n", "no region: it begins otherwise")
        check(self.endian == ENDIAN_MARK, "its byte order is another than this machine's")
        check(self.version == VERSION, f"its layout has version {self.version}, and this knows {VERSION}")
        self.schema = self.bytes[512 : 512 + min(self.schema_len, 3072)]  # UTF-8
        checksum = fnv(self.bytes[:504] + self.schema)
        check(struct.unpack_from("=Q", self.bytes, 504) == (checksum,), "its header has another checksum")
        check(length == self.region_len, f"it has {length} bytes, and its header says {self.region_len}")
        check(self.kind in KINDS and self.lanes == 1, f"its kind, {self.kind}, is unknown here")
        self.stamp = 0 if self.kind == 2 else -(-self.type_size // 8)  # words of a payload; behind it, a cell's mark
        fits = self.page_size + 1280 <= self.lanes_offset <= self.data_offset - 640 and self.stamp < self.stride
        fits = fits and (length | self.page_size | self.lanes_offset | self.data_offset) % 8 == 0
        fits = fits and self.data_offset + self.data_len == length
        check(fits and 0 < self.capacity * self.stride * 8 <= self.data_len, "its parts do not fit")
        self.words = memoryview(self.bytes).cast("Q")

    def word(self, byte, limit=1 << 64):
        word = self.words[byte // 8]  # one load of eight bytes
        check(word < limit, f"at byte {byte} stands {word:#x}")
        return word

    def seat(self, byte):
        holder, generation, died = (self.word(byte + at) for at in (0, 8, 24))
        generation += (holder >> 48) - generation & 0xFFFF  # that word may be one behind
        holder &= (1 << 22) - 1
        return f"{f'process {holder}' if holder else 'nobody'}, generation {generation}, died {died}"

    def cell(self, index):
        return self.data_offset + index % self.capacity * self.stride * 8

    def slot(self, pos):
        """The payload at a position, if it is there; the next position; whether what stands there can be."""
        at, before = self.cell(pos - 1), pos + 1 - self.capacity if pos > self.capacity else 0
        stamp = self.word(at + self.stride * 8 - 8)
        if bare(stamp, pos + 1) == pos + 1:
            return self.bytes[at : at + self.type_size], pos + 1, True
        return None, pos, bare(stamp, before) == before

    def record(self, pos):
        """The same. A record that crosses the end of the data goes on at its front."""
        at, tag = self.cell(pos - 1), (pos << 30) % (1 << 63)
        header = self.word(at)
        size = (bare(header, tag) ^ tag) - 1
        if not 0 <= size <= min(self.data_len - 16, (1 << 30) - 2):
            return None, pos, header == 0
        first = self.bytes[at + 8 : at + 8 + size]
        rest = self.bytes[self.data_offset : self.data_offset + size - len(first)]
        return first + rest, pos + 1 + -(-size // 8), True

    def waiting(self):
        """The messages that wait, with their positions."""
        pos, read = self.word(self.lanes_offset + 128, LIMIT), self.slot if self.kind == 1 else self.record
        for _ in range(self.capacity):
            payload, after, can_be = read(pos) if pos else (None, 0, False)
            head = self.word(self.lanes_offset + 128, LIMIT)
            if head > pos:
                pos = head  # what was read was received meanwhile, and perhaps overwritten
                continue
            check(can_be, f"no message can stand at position {pos} as it does")
            if payload is None:
                return
            yield pos, payload
            pos = after

    def value(self):
        """The latest value and its version."""
        for _ in range(1000):
            version = self.word(self.lanes_offset + 256, LIMIT)
            at = self.cell(version)
            value, mark = self.bytes[at : at + self.type_size], self.word(at + self.stamp * 8)
            if mark == version:
                return version, value
            is_newer = self.word(self.lanes_offset + 256) != version
            check(mark > version and is_newer, f"the mark of version {version} is {mark}")
        raise ValueError("the writer was always faster")


def show(path, region):
    print("region:", path)
    print("kind:", KINDS[region.kind])
    print(f"type: {region.type_name.rstrip(bytes(1)).decode(errors='replace')!r}, {region.type_size} bytes")
    print("schema:", region.schema.decode() or "none")
    print("sender:", region.seat(region.lanes_offset))
    if region.kind == 3:
        version, value = region.value()
        print(f"version {version}: {value.hex()}")
    else:
        print("receiver:", region.seat(region.page_size))
        for pos, payload in region.waiting():
            print(f"message at {pos}: {payload.hex()}")


if __name__ == "__main__":
    failed = 0
    for name in sys.argv[1:]:
        try:
            with open(name, "rb") as opened:
                show(name, Region(opened))
        except (ValueError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
    sys.exit(failed)
