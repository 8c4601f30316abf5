"""Photos as a phone's camera gives them, made without a camera: codes, noise, turned pictures.

Chromium draws and compresses them; EXIF is put in by hand, as JEITA CP-3451 lays it out.
"""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import numpy as np
import segno
from playwright.sync_api import Browser

__all__ = ["PLACE", "code_photo", "code_video", "decoded", "halves", "with_exif"]

PLACE = (18, 47)
"""Degrees and minutes of the place that `with_exif` writes: Chiang Mai."""

DRAW = """async ([matrix, options]) => {
  const { width, height, side, turn, noise, blur, light, quality } = options;
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const shade = context.createLinearGradient(0, 0, width, height);
  shade.addColorStop(0, '#8d8372');
  shade.addColorStop(1, '#5b6470');
  context.fillStyle = shade;
  context.fillRect(0, 0, width, height);
  context.translate(width * options.x, height * options.y);
  context.rotate(turn * Math.PI / 180);
  context.filter = blur ? `blur(${blur}px)` : 'none';
  const quiet = 4, count = matrix.length + 2 * quiet, cell = side / count;
  const code = document.createElement('canvas');
  code.width = code.height = Math.ceil(side);
  const ink = code.getContext('2d');
  ink.fillStyle = light;
  ink.fillRect(0, 0, side, side);
  ink.fillStyle = '#201c1c';
  matrix.forEach((row, y) => row.forEach((dark, x) => {
    if (dark) ink.fillRect((x + quiet) * cell, (y + quiet) * cell, cell + 0.5, cell + 0.5);
  }));
  context.drawImage(code, -side / 2, -side / 2);
  context.resetTransform();
  context.filter = 'none';
  if (noise) {
    const pixels = context.getImageData(0, 0, width, height);
    const grain = new Uint8Array(65536);
    for (let at = 0; at < pixels.data.length; at += 4) {
      if (at / 4 % 65536 === 0) crypto.getRandomValues(grain);
      const by = (grain[at / 4 % 65536] / 255 - 0.5) * noise;
      for (let c = 0; c < 3; c += 1) pixels.data[at + c] += by;
    }
    context.putImageData(pixels, 0, 0);
  }
  return canvas.toDataURL('image/jpeg', quality).split(',')[1];
}"""


def code_photo(
    browser: Browser,
    content: str,
    *,
    width: int = 1600,
    height: int = 1200,
    side: float = 600,
    turn: float = 0,
    noise: float = 0,
    blur: float = 0,
    at: tuple[float, float] = (0.5, 0.5),
    light: str = "#f3efe6",
    quality: float = 0.85,
) -> bytes:
    """A JPEG of a QR code `side` pixels wide on a table: turned by degrees, grainy, blurred."""
    matrix = [[int(dark) for dark in row] for row in segno.make_qr(content, error="l").matrix]
    page = browser.new_page()
    options = {"width": width, "height": height, "side": side, "turn": turn, "noise": noise,
               "blur": blur, "x": at[0], "y": at[1], "light": light,
               "quality": quality}  # fmt: skip
    made = base64.b64decode(page.evaluate(DRAW, [matrix, options]))
    page.close()
    return made


def halves(browser: Browser, width: int, height: int, kind: str = "image/jpeg") -> bytes:
    """A picture whose left half is red and whose right half is blue, with a little grain."""
    page = browser.new_page()
    made = page.evaluate(
        """([width, height, kind]) => {
          const canvas = document.createElement('canvas');
          canvas.width = width;
          canvas.height = height;
          const context = canvas.getContext('2d');
          for (const [colour, left] of [['#d01010', 0], ['#1020d0', width / 2]]) {
            context.fillStyle = colour;
            context.fillRect(left, 0, width / 2, height);
          }
          context.fillStyle = '#ffffff40';
          for (let at = 0; at < 4000; at += 1) {
            context.fillRect(at * 7919 % width, at * 104729 % height, 3, 3);
          }
          return canvas.toDataURL(kind, 0.9).split(',')[1];
        }""",
        [width, height, kind],
    )
    page.close()
    return base64.b64decode(made)


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    """The picture as a camera writes it: how it is turned, and where it was taken."""
    degrees, minutes = PLACE
    place = struct.pack(">HHHI4s", 2, 1, 2, 2, b"N\0\0\0")
    place += struct.pack(">HHII", 2, 5, 3, 68) + struct.pack(">I", 0)
    first = struct.pack(">HHHIHH", 2, 0x0112, 3, 1, orientation, 0)
    first += struct.pack(">HHII", 0x8825, 4, 1, 38) + struct.pack(">I", 0)
    numbers = struct.pack(">6I", degrees, 1, minutes, 1, 0, 1)
    body = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + first + place + numbers
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def decoded(browser: Browser, picture: bytes) -> tuple[int, int, list[list[int]]]:
    """Width, height, and the colours at the middle of the top, bottom, left and right quarter."""
    page = browser.new_page()
    found = page.evaluate(
        """async (text) => {
          const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
          const bitmap = await createImageBitmap(new Blob([bytes]));
          const canvas = document.createElement('canvas');
          canvas.width = bitmap.width;
          canvas.height = bitmap.height;
          const context = canvas.getContext('2d');
          context.drawImage(bitmap, 0, 0);
          const at = (x, y) =>
            [...context.getImageData(bitmap.width * x, bitmap.height * y, 1, 1).data];
          const colours = [at(0.5, 0.15), at(0.5, 0.85), at(0.15, 0.5), at(0.85, 0.5)];
          return [bitmap.width, bitmap.height, colours];
        }""",
        base64.b64encode(picture).decode(),
    )
    page.close()
    return found[0], found[1], found[2]


def code_video(path: Path, content: str, *, width: int = 640, height: int = 480) -> Path:
    """What a camera sees that is held over a QR code, as Chromium plays it (YUV4MPEG2)."""
    matrix = np.array([list(row) for row in segno.make_qr(content).matrix], dtype=np.uint8)
    cell = height * 6 // 10 // matrix.shape[0]
    code = np.kron(np.where(matrix, 30, 220).astype(np.uint8), np.ones((cell, cell), np.uint8))
    bright = np.full((height, width), 220, dtype=np.uint8)
    top, left = (height - code.shape[0]) // 2, (width - code.shape[1]) // 2
    bright[top : top + code.shape[0], left : left + code.shape[1]] = code
    grey = bytes([128]) * (width * height // 2)
    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode())
        for _ in range(10):
            out.write(b"FRAME\n" + bright.tobytes() + grey)
    return path
