"""Odd PNG and JPEG files: what is an image to the library is the same image to a served graph, or none to both."""

import io
import struct
import zlib
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_unet import image_io
from keras_unet.export import graph_image_codecs

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
HEIGHT, WIDTH = 9, 11
# First row, first column, row step and column step of the seven passes of an interlaced PNG.
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def noise(colour, bits, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(colour + bits).integers(0, 2**bits, (height, width, SAMPLES[colour]))


def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def lines(pixels, bits):
    """Rows as a PNG holds them before compression, each after the filter 0."""
    if bits >= 8:
        return b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    digits = np.unpackbits(pixels.astype(np.uint8), axis=-1)[..., 8 - bits :].reshape(len(pixels), -1)
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in digits)


def png(pixels, colour, bits, *, before=b"", after=b"", body=None, interlaced=False):
    height, width, _ = pixels.shape
    parts = [pixels[r::down, c::across] for r, c, down, across in PASSES] if interlaced else [pixels]
    body = zlib.compress(b"".join(lines(part, bits) for part in parts if part.size)) if body is None else body
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    chunks = chunk(b"IHDR", header) + before + chunk(b"IDAT", body) + after + chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + chunks


def jpeg(pixels, mode=None, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@cache
def graph(channels):
    limits = graph_image_codecs.Limits(channels, 16, 10_000)
    spec = tf.TensorSpec((), tf.string)
    return tf.function(lambda file: graph_image_codecs.decode(file, limits), input_signature=[spec], autograph=False)


def read(file, folder):
    """What the library reads; None if it refuses."""
    (folder / "image").write_bytes(file)
    try:
        return image_io.read_image(folder / "image")
    except image_io.ImageError:
        return None


def decoded(file, channels):
    """What a graph decodes; None if it refuses."""
    try:
        return graph(channels)(file).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def assert_both(file, expected, folder):
    """Both see the pixels `expected`, or refuse; a net of another number of channels refuses."""
    found = read(file, folder)
    assert (found is None) == (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(found, expected)
    for channels in (1, 3):
        fits = expected is not None and expected.shape[-1] == channels
        answer = decoded(file, channels)
        assert (answer is not None) == fits
        if fits:
            np.testing.assert_array_equal(answer, expected)


def still_pngs():
    """Files by name, each with the pixels that it holds."""
    for interlaced in (False, True):
        suffix = " interlaced" if interlaced else ""
        for colour, bits in [(GREY, 1), (GREY, 2), (GREY, 4), *((c, b) for c in (GREY, RGB) for b in (8, 16))]:
            pixels = noise(colour, bits)
            expected = pixels * {2: 85, 4: 17}.get(bits, 1)
            yield f"{colour} of {bits} bits{suffix}", png(pixels, colour, bits, interlaced=interlaced), expected
            key = chunk(b"tRNS", pixels[3, 4].astype(">u2").tobytes())
            file = png(pixels, colour, bits, before=key, interlaced=interlaced)
            yield f"{colour} of {bits} bits with a transparent colour{suffix}", file, expected
        for colour, bits in [(c, b) for c in (GREY_ALPHA, RGB_ALPHA) for b in (8, 16)]:
            pixels = noise(colour, bits)
            yield f"{colour} of {bits} bits, alpha that differs{suffix}", png(pixels, colour, bits), pixels
            pixels = np.dstack([pixels[..., :-1], np.full((HEIGHT, WIDTH), 77)])
            file = png(pixels, colour, bits, interlaced=interlaced)
            yield f"{colour} of {bits} bits, one alpha{suffix}", file, pixels[..., :-1]


def palettes():
    greys, colours = np.repeat([[7], [40], [90], [200]], 3, axis=1), np.arange(12).reshape(4, 3) * 20
    for bits in (1, 2, 4, 8):
        indices = noise(PALETTE, min(bits, 2)) % 3
        for name, table in {
            "greys": greys,
            "colours": colours,
            "an unused colour": np.concatenate([greys[:3], colours[3:]]),
        }.items():
            table = table[: 2**bits]
            channels = 1 if (table == table[:, :1]).all() else 3
            entries = chunk(b"PLTE", table.astype(np.uint8).tobytes())
            for interlaced in (False, True):
                for transparent in (b"", chunk(b"tRNS", bytes([0, 128]))):
                    file = png(indices, PALETTE, bits, before=entries + transparent, interlaced=interlaced)
                    case = f"{name} of {bits} bits {interlaced} {len(transparent)}"
                    yield case, file, table[indices[..., 0], :channels]
    entries = chunk(b"PLTE", colours[:2].astype(np.uint8).tobytes())
    black = np.concatenate([colours[:2], np.zeros((2, 3), int)])
    yield "index beyond the table", png(indices, PALETTE, 8, before=entries), black[indices[..., 0]]
    yield "no table", png(indices, PALETTE, 8), None
    yield "a late table", png(indices, PALETTE, 8, after=entries), None
    yield "two tables", png(indices, PALETTE, 8, before=entries * 2), None
    yield "a torn table", png(indices, PALETTE, 8, before=chunk(b"PLTE", b"abcdefg")), None


def animated(frames, bits=8, default=False):
    """An APNG of equal frames."""
    pixels = noise(RGB, bits)
    control = struct.pack(">IIIIHHBB", WIDTH, HEIGHT, 0, 0, 1, 1, 0, 0)
    before, after, number = chunk(b"acTL", struct.pack(">II", frames, 0)), b"", 0
    if frames and not default:
        before, number = before + chunk(b"fcTL", struct.pack(">I", 0) + control), 1
    for _ in range(frames - (not default)):
        after += chunk(b"fcTL", struct.pack(">I", number) + control)
        after += chunk(b"fdAT", struct.pack(">I", number + 1) + zlib.compress(lines(pixels, bits)))
        number += 2
    return png(pixels, RGB, bits, before=before, after=after)


def other_pngs():
    pixels, text = noise(RGB, 8), chunk(b"tEXt", b"a\0b")
    raw = lines(pixels, 8)
    whole, good = png(pixels, RGB, 8), zlib.compress(raw)
    at = whole.index(b"IDAT") + 60
    yield "an animation", animated(2), None
    yield "an animation beside an image", animated(1, default=True), None
    yield "an animation of 16 bits", animated(2, bits=16), None
    yield "an animation of one frame", animated(1), pixels
    yield "an animation of no frame", animated(0), pixels
    yield "bytes after the end", whole + b"more", pixels
    yield "a damaged byte", whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], None
    yield "a damaged text", png(pixels, RGB, 8, before=text[:-1] + b"x"), pixels
    yield "too few pixels", png(pixels, RGB, 8, body=zlib.compress(raw[:-1])), None
    yield "too few rows", png(pixels, RGB, 8, body=zlib.compress(raw[: 3 * (3 * WIDTH + 1)])), None
    yield (
        "too few rows of a palette",
        png(
            noise(PALETTE, 8) * 0, PALETTE, 8, before=chunk(b"PLTE", b"abcdef"), body=zlib.compress(b"\0" * (WIDTH + 1))
        ),
        None,
    )
    yield "too few interlaced rows", png(pixels, RGB, 8, body=zlib.compress(bytes(7 + 4)), interlaced=True), None
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, RGB, 0, 0, 0))
    body = zlib.compress(bytes(len(raw)))[:-1] + b"x"
    yield "a wrong check sum of pixels", png(pixels * 0, RGB, 8, body=body), None
    yield "two headers", png(pixels, RGB, 8, before=header), None
    yield "a late header", whole[:8] + text + whole[8:], None
    yield "too many pixels", png(pixels, RGB, 8, body=zlib.compress(raw * 2)), pixels
    yield "an unknown filter", png(pixels, RGB, 8, body=zlib.compress(b"\7" + raw[1:])), None
    yield "no pixels", whole[: at - 64] + chunk(b"IEND"), None
    yield "pixels in parts", png(pixels, RGB, 8, body=good[:50], after=chunk(b"IDAT", good[50:])), pixels
    yield "pixels torn apart", png(pixels, RGB, 8, body=good[:50], after=text + chunk(b"IDAT", good[50:])), None
    yield "a suggested palette", png(pixels, RGB, 8, before=chunk(b"PLTE", b"abcdef")), pixels
    yield "a gamma", png(pixels, RGB, 8, before=chunk(b"gAMA", struct.pack(">I", 20000))), pixels
    yield "few significant bits", png(pixels, RGB, 8, before=chunk(b"sBIT", b"\5\6\5")), pixels
    yield "a damaged profile", png(pixels, RGB, 8, before=chunk(b"iCCP", b"x\0\0junk")), pixels
    yield "another vendor's kind", png(pixels, RGB, 8, before=chunk(b"CgBI", b"abcd")), None
    yield "a chunk beyond the file", png(pixels, RGB, 8, before=b"\x7f\xff\xff\xff" + text[4:]), None
    yield "a chunk beyond every file", png(pixels, RGB, 8, before=b"\xff\xff\xff\xff" + text[4:]), None
    yield "many texts", png(pixels, RGB, 8, before=text * 300), pixels


PNGS = {name: (file, pixels) for family in (still_pngs, palettes, other_pngs) for name, file, pixels in family()}


@pytest.mark.parametrize("name", PNGS)
def test_an_odd_png_is_the_same_image_to_library_and_graph_or_none(name, tmp_path):
    assert_both(*PNGS[name], tmp_path)


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "bits"), [(GREY, 1), (GREY, 8), (GREY, 16), (RGB, 8), (RGB, 16), (PALETTE, 8)])
def test_a_png_cut_anywhere_is_refused(colour, bits, interlaced, step, tmp_path):
    """At every so many bytes, and everywhere within the last chunk and a little before."""
    pixels = noise(colour, bits, 5, 3)
    table = chunk(b"PLTE", bytes(range(255)) * 3 + bytes(3)) if colour == PALETTE else b""
    file = png(pixels, colour, bits, before=table, interlaced=interlaced)
    assert read(file, tmp_path) is not None
    end = len(file) - 20
    for length in [*range(8, end, step), *range(end, len(file))]:
        assert_both(file[:length], None, tmp_path)


TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"  # by 90 degrees
JPEGS = {
    "grey": jpeg(noise(GREY, 8, 45, 37)[..., 0].astype(np.uint8)),
    "colour": jpeg(noise(RGB, 8, 45, 37).astype(np.uint8)),
    "full colour": jpeg(noise(RGB, 8, 45, 37).astype(np.uint8), subsampling=0),
    "progressive": jpeg(noise(RGB, 8, 45, 37).astype(np.uint8), progressive=True),
    "restarts": jpeg(noise(GREY, 8, 45, 37)[..., 0].astype(np.uint8), restart_marker_rows=1),
    "turned": jpeg(noise(RGB, 8, 45, 37).astype(np.uint8), exif=TURNED),
}
JPEGS["thumbnail"] = JPEGS["grey"][:2] + b"\xff\xe1\0\x06\xff\xd9ab" + JPEGS["grey"][2:]
JPEGS["filling bytes"] = JPEGS["grey"][:2] + b"\xff\xff\xff" + JPEGS["grey"][2:]
JPEGS["bytes after the end"] = JPEGS["colour"] + b"\0\xff\xda more"


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_is_the_same_image_to_library_and_graph_and_refused_when_cut(name, tmp_path):
    file = JPEGS[name]
    pixels = read(file, tmp_path)
    assert pixels.shape[:2] == (45, 37)
    assert_both(file, pixels, tmp_path)
    end = file.rindex(b"\xff\xd9")
    for length in [*range(2, end, 97), *range(end - 40, end + 2)]:
        assert_both(file[:length], None, tmp_path)


def test_png_with_pixels_to_spare_after_another_chunk_is_refused_by_the_library_alone(tmp_path):
    pixels = noise(RGB, 8)
    file = png(pixels, RGB, 8, after=chunk(b"tEXt", b"a\0b") + chunk(b"IDAT"))
    assert read(file, tmp_path) is None
    np.testing.assert_array_equal(decoded(file, 3), pixels)


def test_a_cmyk_jpeg_is_refused_by_the_graph_alone(tmp_path):
    file = jpeg(noise(RGB, 8).astype(np.uint8), "CMYK")
    assert read(file, tmp_path).shape == (HEIGHT, WIDTH, 3)
    assert decoded(file, 3) is None


def test_a_png_of_endless_chunks_is_refused_by_the_graph_before_it_is_decoded():
    file = png(noise(RGB, 8), RGB, 8, before=chunk(b"tEXt", b"a\0b") * 1001)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 1000 other chunks. Received one without"):
        graph(3)(file)
