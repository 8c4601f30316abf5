// A signature, a drawing, or a picture that is written on.

import { sure } from '../dialogs.js';
import { make, mark } from '../elements.js';
import { letGo, onCanvas, Unreadable, written } from './bitmap.js';
import { emptied, keeping, picker } from './filing.js';
import { longestSide } from './image.js';
import { wholeScreen } from './sheet.js';
import { sized } from './sizes.js';
import { drawingPad } from './strokes.js';
import './words.js';

const LONGEST = 1024; // a signature needs no more
const COLOURS = [['draw_black', '#111111'], ['draw_red', '#c4161c'], ['draw_blue', '#1648b8']];

/** A question whose answer is drawn. */
export function draw(node, tools) {
  const looks = node.appearances ?? {};
  const kind = looks.signature ? 'signature' : looks.annotate ? 'annotate' : 'draw';
  const onPicture = kind === 'annotate';
  const holder = keeping(node, tools, (file, address) => [
    make('img', { class: `picture drawn ${kind}`, src: address, alt: tools.t('picture_of', { label: tools.label?.() ?? '' }) }),
    make('p', { class: 'file-line' }, sized(file.size)),
  ]);
  let pad = null;

  const start = make(
    'button',
    { type: 'button', id: onPicture ? null : tools.controlId, class: 'draw-start' },
    tools.t(kind === 'signature' ? 'draw_sign' : 'draw_start'),
  );
  start.addEventListener('click', () => open(node.currentState.value));
  const camera = picker(tools.t('picture_take'), 'image/*', open, { capture: 'environment', style: '', id: onPicture ? tools.controlId : null });
  const album = picker(tools.t('picture_choose'), 'image/*', open);
  const remove = make('button', { type: 'button', class: 'plain remove', hidden: true }, tools.t('file_remove'));
  remove.addEventListener('click', () => {
    holder.say(null);
    emptied(node);
    buttons.querySelector('button:not([hidden])').focus();
  });
  const buttons = make('div', { class: 'row file-buttons' }, start, ...(onPicture ? [camera.button, camera.input, album.button, album.input] : []), remove);

  /** Draw on a picture (of the phone, the answer until now, or one of the form), or on nothing. */
  async function open(picture) {
    if (pad) return;
    pad = {};
    holder.say(null);
    try {
      const under = picture ?? (await ofForm());
      const background = under && (await onCanvas(under, longestSide(node, onPicture ? 2048 : LONGEST), '#fff'));
      pad = openPad(node, tools, { kind, background, photo: onPicture && Boolean(background), keep, closed });
    } catch (error) {
      pad = null;
      if (!(error instanceof Unreadable)) throw error;
      holder.say(tools.t(error.key), true);
    }
  }

  /** The picture that the form itself gives to be written on, if it does. */
  async function ofForm() {
    const address = node.currentState.instanceValue && tools.form.media(node.currentState.instanceValue);
    const answer = address && (await fetch(address, { credentials: 'same-origin', headers: { 'X-OpenRosa-Version': '1.0' } }).catch(() => null));
    return answer?.ok ? answer.blob() : null;
  }

  function keep(blob) {
    const name = `drawing.${blob.type === 'image/png' ? 'png' : 'jpg'}`;
    if (holder.put(new File([blob], name, { type: blob.type }))) tools.announce(tools.t('draw_done'));
  }

  function closed() {
    pad = null;
    buttons.querySelector('button:not([hidden])')?.focus({ preventScroll: true });
  }

  return {
    element: make('div', { class: 'file draw' }, holder.element, buttons),
    update(state) {
      holder.update(state);
      const has = Boolean(state.value) || Boolean(state.instanceValue && tools.form.media(state.instanceValue));
      start.hidden = onPicture && !has;
      start.textContent = tools.t(state.value ? 'draw_edit' : kind === 'signature' ? 'draw_sign' : 'draw_start');
      start.classList.toggle('second', Boolean(state.value));
      camera.button.textContent = tools.t(state.value ? 'picture_again' : 'picture_take');
      buttons.hidden = state.readonly;
      remove.hidden = !state.value;
    },
    destroy() {
      pad?.close?.();
      holder.destroy();
    },
  };
}

function openPad(node, tools, { kind, background, photo, keep, closed }) {
  let keeping = false;
  const sheet = wholeScreen(node, tools, 'draw-sheet', () => {
    pad.stop();
    if (background) letGo(background);
    closed();
  });
  const undo = make('button', { type: 'button', class: 'second', disabled: true }, tools.t('draw_undo'));
  const clear = make('button', { type: 'button', class: 'second', disabled: true }, tools.t('draw_clear'));
  const save = make('button', { type: 'button', disabled: true }, tools.t('draw_save'));
  const field = make('input', { type: 'text', autocomplete: 'off', maxlength: 120, id: `${tools.controlId}-typed` });
  const pad = drawingPad({
    background,
    ratio: kind === 'signature' && !background ? 2 : null,
    label: tools.t('draw_pad', { label: tools.label?.() ?? '' }),
    changed() {
      for (const button of [undo, clear, save]) button.disabled = !pad.touched();
      if (!pad.typed() && document.activeElement !== field) field.value = '';
    },
  });
  const pens = make('div', { class: 'pens' });
  if (kind !== 'signature') pens.append(...COLOURS.map(([name, colour], index) => pen(tools, name, colour, index === 0, pad, pens)));
  field.addEventListener('input', () => pad.words(field.value));
  undo.addEventListener('click', pad.undo);
  clear.addEventListener('click', pad.clear);
  save.addEventListener('click', async () => {
    if (keeping) return;
    keeping = true;
    const made = pad.picture(longestSide(node, photo ? 2048 : LONGEST));
    try {
      keep(photo ? await written(made, 'image/jpeg', 0.85) : await written(made, 'image/png'));
      sheet.close();
    } finally {
      letGo(made);
      keeping = false;
    }
  });
  /** A slip of the thumb does not throw a drawing away. */
  sheet.element.addEventListener('cancel', async (event) => {
    if (!pad.touched() || keeping) return;
    event.preventDefault();
    if (await sure(tools.t('draw_left'), tools.t('draw_leave'), tools.t('draw_stay'))) sheet.close();
  });
  sheet.body.append(pad.element);
  sheet.foot.append(
    pens,
    make('div', { class: 'row' }, undo, clear, save),
    make('label', { class: 'draw-typed', for: field.id }, make('span', {}, tools.t(kind === 'signature' ? 'draw_type_name' : 'draw_type')), field),
  );
  return sheet;
}

function pen(tools, name, colour, on, pad, pens) {
  const button = make(
    'button',
    { type: 'button', class: 'pen', 'aria-pressed': String(on), 'aria-label': tools.t('draw_colour', { name: tools.t(name) }) },
  );
  button.style.setProperty('--ink-colour', colour);
  button.addEventListener('click', () => {
    pad.pen(colour);
    for (const one of pens.children) mark(one, 'aria-pressed', String(one === button));
  });
  return button;
}
