"""Pictures of every kind become grey, or are refused with a reason."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from hemodetect.errors import UnreadableFile
from hemodetect.imaging.pictures import decode_grey

MOST = 4096 * 4096


def test_a_grey_picture_keeps_its_values(picture, grey_head):
    for kind in ("PNG", "TIFF"):
        decoded = decode_grey(picture(grey_head, kind), MOST)
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, grey_head)


def test_grey_stored_as_rgb_keeps_its_values(picture, grey_head):
    colour = np.repeat(grey_head[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(decode_grey(picture(colour), MOST), grey_head)


def test_a_jpeg_decodes_as_pillow_converts_it(picture, grey_head):
    data = picture(np.repeat(grey_head[:, :, None], 3, axis=2), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("L"))
    assert np.abs(decode_grey(data, MOST).astype(int) - expected).max() <= 1


def test_colours_are_weighted_by_their_luminance(picture):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert decode_grey(picture(colours), MOST).tolist() == [[76, 150, 29]]


def test_what_is_transparent_becomes_black(picture, grey_head):
    alpha = np.full_like(grey_head, 255)
    alpha[:20] = 0
    rgba = np.dstack([grey_head, grey_head, grey_head, alpha])
    decoded = decode_grey(picture(rgba), MOST)
    assert not decoded[:20].any()
    np.testing.assert_array_equal(decoded[20:], grey_head[20:])


def test_a_cmyk_jpeg_is_read_as_it_looks(picture, grey_head):
    cmyk = Image.fromarray(grey_head).convert("RGB").convert("CMYK")
    decoded = decode_grey(picture(cmyk, "JPEG", quality=100, subsampling=0), MOST)
    assert np.abs(decoded.astype(int) - grey_head).max() < 12


def test_a_palette_picture_is_read_as_it_looks(picture, grey_head):
    image = Image.fromarray(grey_head).convert("RGB").quantize(8)
    np.testing.assert_array_equal(decode_grey(picture(image), MOST), grey_head)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_16_bit_picture_keeps_its_upper_byte(picture, kind):
    values = np.linspace(0, 65535, 30 * 40).reshape(30, 40).astype(np.uint16)
    np.testing.assert_array_equal(decode_grey(picture(values, kind), MOST), values >> 8)


def test_a_16_bit_picture_of_raw_ct_numbers_is_refused(picture, grey_head):
    raw = grey_head.astype(np.uint16) * 10 + 1000
    with pytest.raises(UnreadableFile, match="uses only 1,200 of 65,535 grey levels"):
        decode_grey(picture(raw), MOST)


def test_a_float_tiff_is_refused(picture, grey_head):
    with pytest.raises(UnreadableFile, match="32-bit numbers whose grey scale is unknown"):
        decode_grey(picture(grey_head.astype(np.float32), "TIFF"), MOST)


def test_the_exif_orientation_is_applied(picture, grey_head):
    marked = grey_head.copy()
    marked[:5, :5] = 255
    exif = Image.Exif()
    exif[274] = 6  # turn a quarter clockwise to show
    turned = decode_grey(picture(marked, "PNG", exif=exif), MOST)
    np.testing.assert_array_equal(turned, np.rot90(marked, -1))


def test_an_animated_gif_is_refused(picture, grey_head):
    frames = [Image.fromarray(grey_head), Image.fromarray(255 - grey_head)]
    data = picture(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableFile, match=r"GIF pictures .* are not read"):
        decode_grey(data, MOST)


def test_an_animated_png_is_refused(picture, grey_head):
    frames = [Image.fromarray(grey_head), Image.fromarray(255 - grey_head)]
    data = picture(frames[0], "PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableFile, match="animated PNG"):
        decode_grey(data, MOST)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_picture_cut_short_is_refused(picture, kind):
    noise = np.random.default_rng(1).integers(0, 256, (60, 60), np.uint8)
    data = picture(noise, kind)
    with pytest.raises(UnreadableFile, match="damaged or ends too early"):
        decode_grey(data[: len(data) // 2], MOST)


def test_text_is_not_a_picture():
    with pytest.raises(UnreadableFile, match="holds text"):
        decode_grey(b"Dear colleague,", MOST)


def test_a_size_over_the_limit_is_refused_before_decoding(picture):
    data = picture(Image.new("L", (3000, 3000)), "PNG")
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile, match="3,000 x 3,000 pixels are more than"):
            decode_grey(data, 1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_a_png_that_states_a_monstrous_size_is_refused():
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(UnreadableFile, match="pixels"):
        decode_grey(data, MOST)


def test_a_tiff_of_several_pages_is_not_one_picture(picture, grey_head):
    page = Image.fromarray(grey_head)
    data = picture(page, "TIFF", save_all=True, append_images=[page])
    with pytest.raises(UnreadableFile, match="more pages than one"):
        decode_grey(data, MOST)
    assert decode_grey(picture(page, "TIFF"), MOST).shape == grey_head.shape


def test_a_tiff_tile_larger_than_a_slice_may_be_is_refused_before_decoding():
    entries = [
        (256, 4, 32), (257, 4, 32), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1),
        (322, 4, 60_000), (323, 4, 60_000), (324, 4, 8), (325, 4, 8),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHII", tag, kind, 1, value)
    data = b"II*\0" + struct.pack("<I", 16) + bytes(8) + directory + bytes(4)
    with pytest.raises(UnreadableFile, match="60,000 x 60,000 pixels"):
        decode_grey(data, MOST)
