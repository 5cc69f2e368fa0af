#!/usr/bin/env python3
"""Writes golden/decode.csv: what Pillow makes of the JPEG and PNG files in golden/decode (their RGB bytes as SHA-256; for files with
an orientation also after ImageOps.exif_transpose).  With --pictures it first writes those files again (another encoder gives other
bytes); needs numpy, pillow, and cjpeg for the unusual samplings."""
import csv
import hashlib
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
from PIL import Image, ImageOps

GOLDEN = pathlib.Path(__file__).parent / "golden"
PICTURES = GOLDEN / "decode"
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # of Adam7
random = np.random.default_rng(41)


def waves(h, w, channels=3):
    y, x = np.mgrid[0:h, 0:w]
    planes = [127 + 90 * np.sin(x / random.uniform(2, 20) + y / random.uniform(2, 20) + k) + random.normal(0, 25, (h, w))
              for k in range(channels)]
    return np.clip(np.stack(planes, 2), 0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_rows(samples, bits):
    out = b""
    for row in samples.reshape(samples.shape[0], -1):
        if bits == 16:
            line = row.astype(">u2").tobytes()
        elif bits == 8:
            line = row.astype(np.uint8).tobytes()
        else:
            line = np.packbits(((row[:, None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(-1).astype(np.uint8)).tobytes()
        out += b"\0" + line
    return out


def write_png(name, samples, bits, colour, palette=None, transparency=None, interlaced=0):
    h, w = samples.shape[:2]
    if interlaced:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES]
        raw = b"".join(packed_rows(part, bits) for part in parts if part.size)
    else:
        raw = packed_rows(samples, bits)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, bits, colour, 0, 0, interlaced))
    data += chunk(b"PLTE", palette) if palette else b""
    data += chunk(b"tRNS", transparency) if transparency else b""
    (PICTURES / name).write_bytes(data + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def write_jpegs():
    number = iter(range(100))

    def path(kind):
        return PICTURES / f"j{next(number):02}_{kind}.jpg"

    for sampling in range(3):
        for progressive in False, True:
            h, w = (int(v) for v in random.integers(9, 50, 2))
            picture = Image.fromarray(waves(h, w))
            picture.save(path(f"ss{sampling}{'p' if progressive else 'b'}"), quality=int(random.choice([40, 75, 95])),
                         subsampling=sampling, progressive=progressive)
    for h, w in ((1, 1), (3, 2), (2, 5), (8, 17)):
        Image.fromarray(waves(h, w)).save(path("tiny"), quality=90, subsampling=2)
    Image.fromarray(waves(21, 34)[..., 0]).save(path("grey"), quality=80)
    Image.frombytes("CMYK", (34, 21), waves(21, 34, 4).tobytes()).save(path("cmyk"), quality=85)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        Image.fromarray(waves(11, 14)).save(path(f"exif{orientation}"), quality=85, exif=exif)
    for sampling in "1x2", "4x1", "2x2,1x2,1x1", "1x4":
        with tempfile.NamedTemporaryFile(suffix=".ppm") as ppm:
            Image.fromarray(waves(27, 39)).save(ppm.name)
            subprocess.run(["cjpeg", "-quality", "80", "-sample", sampling, "-restart", "1", "-outfile",
                            path("s" + sampling.replace(",", "_")), ppm.name], check=True)


def write_pngs():
    h, w = 13, 11
    for interlaced in 0, 1:
        for bits in 1, 2, 4, 8, 16:
            samples = random.integers(0, 1 << bits, (h, w, 1))
            if bits == 16:
                samples[:4] = random.integers(0, 300, (4, w, 1))
            write_png(f"p_grey{bits}_i{interlaced}.png", samples, bits, 0, interlaced=interlaced)
        for bits in 8, 16:
            for colour, channels in ((2, 3), (4, 2), (6, 4)):
                samples = random.integers(0, 1 << bits, (h, w, channels))
                write_png(f"p_ct{colour}_{bits}_i{interlaced}.png", samples, bits, colour, interlaced=interlaced)
        for bits in 1, 2, 4, 8:
            count = 1 << bits
            samples = random.integers(0, count, (h, w, 1))
            palette = random.integers(0, 256, (count, 3)).astype(np.uint8).tobytes()
            write_png(f"p_pal{bits}_i{interlaced}.png", samples, bits, 3, palette, bytes([0, 128][:count]), interlaced)
    samples = random.integers(0, 256, (h, w, 3))
    write_png("p_rgb_trns.png", samples, 8, 2, transparency=struct.pack(">HHH", *map(int, samples[0, 0])))
    write_png("p_shortpal.png", random.integers(0, 16, (h, w, 1)), 4, 3, bytes(range(10, 25)))


def main():
    if "--pictures" in sys.argv:
        write_jpegs()
        write_pngs()
    with open(GOLDEN / "decode.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow("file mode w h sha256 first12 exif_sha256".split())
        for path in sorted(PICTURES.iterdir()):
            picture = Image.open(path)
            rgb = picture.convert("RGB").tobytes()
            turned = ""
            if "exif" in path.name:
                turned = hashlib.sha256(ImageOps.exif_transpose(picture).convert("RGB").tobytes()).hexdigest()
            rows.writerow([path.name, picture.mode, *picture.size, hashlib.sha256(rgb).hexdigest(), rgb[:12].hex(), turned])


main()
