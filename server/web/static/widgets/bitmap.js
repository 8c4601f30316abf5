// Pictures as pixels: opened upright, made smaller, written anew.
//
// A camera's picture has 10 to 50 million pixels, 200 MB when it lies open; a cheap phone has little
// more. So it is opened once, at the size that is wanted, and let go at once.

/** A picture that cannot be opened; `key` names the words that say why. */
export class Unreadable extends Error {
  constructor(key) {
    super(key);
    this.key = key;
  }
}

const HEIC = /hei[cf]/i;

/** What the browser knows of a picture before it opens its pixels: `{image, width, height, done()}`. */
async function known(blob) {
  const address = URL.createObjectURL(blob);
  const image = new Image();
  image.decoding = 'async';
  const done = () => {
    image.removeAttribute('src');
    URL.revokeObjectURL(address);
  };
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
      image.src = address;
    });
  } catch {
    done();
    throw new Unreadable(HEIC.test(`${blob.type} ${blob.name ?? ''}`) ? 'picture_heic' : 'picture_broken');
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  if (!width || !height) {
    done();
    throw new Unreadable('picture_broken');
  }
  return { image, width, height, done };
}

/** `width × height` scaled down to at most `longest` on the longer side. */
export function fitted(width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/**
 * A picture drawn upright on a canvas, at most `longest` on its longer side; pixels only, nothing of
 * what the camera wrote beside them. Throws `Unreadable`.
 */
export async function onCanvas(blob, longest, background = null) {
  const picture = await known(blob);
  const { width, height } = fitted(picture.width, picture.height, longest);
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  try {
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (!context) throw new Unreadable('picture_memory');
    if (background) {
      context.fillStyle = background;
      context.fillRect(0, 0, width, height);
    }
    context.imageSmoothingQuality = 'high';
    await picture.image.decode();
    context.drawImage(picture.image, 0, 0, width, height); // upright: browsers heed EXIF by themselves
  } catch (error) {
    letGo(canvas);
    if (error instanceof Unreadable) throw error;
    throw new Unreadable(picture.width * picture.height > 12e6 ? 'picture_memory' : 'picture_broken');
  } finally {
    picture.done();
  }
  return canvas;
}

/** A canvas as a file's content. */
export function written(canvas, type, quality) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Unreadable('picture_memory'))), type, quality);
  });
}

/** Give a canvas's memory back now, not when it is collected. */
export function letGo(canvas) {
  canvas.width = 0;
  canvas.height = 0;
}
