// A pad to draw on: strokes by finger, pen or mouse over an optional picture, kept as lines so that
// the last can be taken back and the pad can change its size.

import { make, mark } from '../elements.js';

const PEN = 3; // CSS pixels, at a pad of WIDE
const WIDE = 400;

/**
 * A drawing pad. `background` is a canvas under the strokes or null, `ratio` width by height of a
 * pad without one (null: as the room gives). Returns `{element, undo(), clear(), pen(colour),
 * words(text), touched(), picture(longest)}`; `changed()` is called after each stroke.
 */
export function drawingPad({ background, ratio, label, changed }) {
  const canvas = make('canvas', { class: 'pad', role: 'img', 'aria-label': label });
  const element = make('div', { class: 'pad-room' }, canvas);
  const context = canvas.getContext('2d');
  let strokes = [];
  let typed = '';
  let colour = '#111111';
  let going = null;

  const aspect = () => (background ? background.width / background.height : (ratio ?? element.clientWidth / Math.max(1, element.clientHeight)));

  function fit() {
    const room = element.getBoundingClientRect();
    if (!room.width || !room.height) return;
    const wanted = aspect();
    const width = Math.min(room.width, room.height * wanted);
    const dense = Math.min(globalThis.devicePixelRatio || 1, 3);
    canvas.style.setProperty('width', `${width}px`);
    canvas.style.setProperty('height', `${width / wanted}px`);
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round((width / wanted) * dense);
    paint(context, canvas.width, canvas.height);
  }

  /** Everything, on a surface of any size; positions are parts of its width and height. */
  function paint(surface, width, height) {
    surface.fillStyle = '#fff';
    surface.fillRect(0, 0, width, height);
    if (background) {
      surface.imageSmoothingQuality = 'high';
      surface.drawImage(background, 0, 0, width, height);
    }
    surface.lineCap = 'round';
    surface.lineJoin = 'round';
    surface.lineWidth = Math.max(1, (PEN * width) / WIDE);
    for (const stroke of strokes) line(surface, stroke, width, height);
    if (typed) write(surface, typed, width, height, Boolean(background));
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  canvas.addEventListener('pointerdown', (event) => {
    if (going || event.button > 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    going = { id: event.pointerId, colour, points: [point(event)] };
    strokes.push(going);
    paint(context, canvas.width, canvas.height);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (event.pointerId !== going?.id) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    const from = going.points.length - 1;
    going.points.push(...(moves.length ? moves : [event]).map(point));
    context.lineWidth = Math.max(1, (PEN * canvas.width) / WIDE);
    line(context, { colour: going.colour, points: going.points.slice(from) }, canvas.width, canvas.height);
  });
  const lift = (event) => {
    if (event.pointerId !== going?.id) return;
    going = null;
    changed();
  };
  canvas.addEventListener('pointerup', lift);
  canvas.addEventListener('pointercancel', lift);
  const sizes = new ResizeObserver(fit);
  sizes.observe(element);

  const again = () => {
    paint(context, canvas.width, canvas.height);
    changed();
  };

  return {
    element,
    undo() {
      if (strokes.length) strokes.pop();
      else typed = '';
      again();
    },
    clear() {
      strokes = [];
      typed = '';
      again();
    },
    pen(wanted) {
      colour = wanted;
    },
    words(text) {
      typed = text.trim();
      again();
    },
    typed: () => typed,
    touched: () => strokes.length > 0 || typed !== '',
    /** A new canvas with the whole drawing, its longer side `longest` at most. */
    picture(longest) {
      const wanted = aspect();
      const whole = background ? Math.min(longest, Math.max(background.width, background.height)) : longest;
      const made = document.createElement('canvas');
      made.width = Math.max(1, Math.round(wanted >= 1 ? whole : whole * wanted));
      made.height = Math.max(1, Math.round(wanted >= 1 ? whole / wanted : whole));
      paint(made.getContext('2d'), made.width, made.height);
      return made;
    },
    stop: () => sizes.disconnect(),
    say: (words) => mark(canvas, 'aria-label', words),
  };
}

function line(surface, { colour, points }, width, height) {
  surface.strokeStyle = colour;
  surface.beginPath();
  const [first, ...rest] = points;
  surface.moveTo(first[0] * width, first[1] * height);
  if (!rest.length) surface.lineTo(first[0] * width + 0.1, first[1] * height); // a dot
  for (const [x, y] of rest) surface.lineTo(x * width, y * height);
  surface.stroke();
}

/** Typed words in the lower part, as large as they fit. */
function write(surface, text, width, height, onPicture) {
  const most = height * 0.22;
  surface.font = `${most}px Sarabun, sans-serif`;
  const size = Math.min(most, (most * width * 0.9) / Math.max(1, surface.measureText(text).width));
  surface.font = `${size}px Sarabun, sans-serif`;
  surface.textAlign = 'center';
  surface.textBaseline = 'middle';
  const at = height * (onPicture ? 0.88 : 0.62);
  if (onPicture) {
    surface.lineWidth = size / 5;
    surface.strokeStyle = '#fff';
    surface.strokeText(text, width / 2, at);
  }
  surface.fillStyle = '#111111';
  surface.fillText(text, width / 2, at);
  surface.lineWidth = Math.max(1, (PEN * width) / WIDE);
}
