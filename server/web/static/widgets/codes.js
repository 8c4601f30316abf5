// Reading a code out of pixels: by the browser where it can, else by jsQR (QR codes only).

import { fitted, letGo, onCanvas, Unreadable } from './bitmap.js';

/**
 * How a photo is looked at, one look after the other: at which longest side, softened or as it is
 * (grain makes false corners, which cost seconds), and whether for light codes on dark as well.
 */
const LOOKS = [
  { side: 500, soft: true, both: true },
  { side: 900, soft: true, both: true },
  { side: 350, soft: false, both: false },
  { side: 1500, soft: true, both: false },
];
/** Then its parts by themselves, at full size: the code may be small in it. */
const WHOLE = 2400;
const PARTS = 3;
const PATIENCE = 12_000; // ms; a person takes another photo sooner

let browser;
let library;

/** The browser's own reader; null where it has none. */
async function ownReader() {
  if (browser !== undefined) return browser;
  browser = null;
  try {
    const formats = await globalThis.BarcodeDetector?.getSupportedFormats();
    if (formats?.includes('qr_code')) browser = new globalThis.BarcodeDetector({ formats });
  } catch {
    // Present but not usable: as if it were not there.
  }
  return browser;
}

/** jsQR, fetched when the first code is to be read. */
async function jsqr() {
  if (!library) {
    await import('../vendor/jsqr.js');
    library = globalThis.jsQR; // it knows no modules and leaves itself there
  }
  return library;
}

/** Have everything at hand that reading needs. */
export async function readyReader() {
  if (!(await ownReader())) await jsqr();
}

/**
 * The text of the code on a canvas, or null. jsQR looks at it `soft`ened or as it is, and for light
 * codes on dark as well where asked for `both`; `fallback` false leaves it to the browser's reader
 * where there is one.
 */
export async function decodeCanvas(canvas, { soft = true, both = false, fallback = true } = {}) {
  const own = await ownReader();
  if (own) {
    const found = await own.detect(canvas).catch(() => []);
    const said = found.find(({ rawValue }) => rawValue)?.rawValue;
    if (said !== undefined) return said;
    if (!fallback) return null;
  }
  const read = await jsqr();
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  if (soft) soften(data, width, height);
  const found = read(data, width, height, { inversionAttempts: both ? 'attemptBoth' : 'dontInvert' });
  return found?.data ? found.data : null;
}

/** Each pixel grey, and the mean of itself and its eight neighbours. */
function soften(data, width, height) {
  const grey = new Uint8Array(width * height);
  for (let at = 0; at < grey.length; at += 1) {
    grey[at] = (data[4 * at] * 77 + data[4 * at + 1] * 151 + data[4 * at + 2] * 28) >> 8;
  }
  for (let y = 1; y < height - 1; y += 1) {
    let at = y * width + 1;
    let left = grey[at - width - 1] + grey[at - 1] + grey[at + width - 1];
    let here = grey[at - width] + grey[at] + grey[at + width];
    for (const end = at + width - 2; at < end; at += 1) {
      const right = grey[at - width + 1] + grey[at + 1] + grey[at + width + 1];
      const mean = ((left + here + right) / 9) | 0;
      data[4 * at] = mean;
      data[4 * at + 1] = mean;
      data[4 * at + 2] = mean;
      left = here;
      here = right;
    }
  }
}

/** The text of the code in a photo; null where none is found or the photo cannot be opened. */
export async function decodePhoto(blob) {
  const end = performance.now() + PATIENCE;
  let whole = null;
  try {
    whole = await onCanvas(blob, WHOLE, '#fff');
    for (const look of looks(whole)) {
      const text = await decodePart(whole, look);
      if (text !== null) return text;
      await pause();
      if (performance.now() > end) return null;
    }
    return null;
  } catch (error) {
    if (error instanceof Unreadable) return null;
    throw error;
  } finally {
    if (whole) letGo(whole);
  }
}

/** All looks at a picture: `{left, top, wide, high, side, soft, both}`. */
function looks({ width, height }) {
  const whole = { left: 0, top: 0, wide: width, high: height };
  const all = LOOKS.map((look) => ({ ...whole, ...look }));
  const wide = Math.ceil((width / (PARTS + 1)) * 2);
  const high = Math.ceil((height / (PARTS + 1)) * 2);
  for (let part = 0; part < PARTS * PARTS; part += 1) {
    const left = ((part % PARTS) * wide) / 2;
    const top = (Math.floor(part / PARTS) * high) / 2;
    all.push({ left, top, wide, high, side: WHOLE, soft: false, both: false });
  }
  return all;
}

async function decodePart(whole, { left, top, wide, high, side, ...how }) {
  const { width, height } = fitted(wide, high, side);
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = 'high';
  context.drawImage(whole, left, top, wide, high, 0, 0, width, height);
  try {
    return await decodeCanvas(canvas, how);
  } finally {
    letGo(canvas);
  }
}

/** Let the page draw and answer between two tries. */
function pause() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
