// A picture: taken or chosen, made small, without what the camera wrote into it.

import { make } from '../elements.js';
import { letGo, onCanvas, Unreadable, written } from './bitmap.js';
import { emptied, keeping, picker } from './filing.js';
import { sized } from './sizes.js';
import './words.js';

/** The longest side where the form does not say (max-pixels). */
export const LONGEST = 2048;
/** No form may ask for a canvas that a phone cannot make. */
const GREATEST = 4096;
const QUALITY = 0.85;
const SMALL_PNG = 500_000;

/** The longest side a form wants. */
export function longestSide(node, usual = LONGEST) {
  return Math.min(node.maxPixels > 0 ? node.maxPixels : usual, GREATEST);
}

/**
 * A picture as a new file with pixels only: no place, time or camera in it. JPEG, or PNG where it
 * was a small PNG. Gives `{file, width, height}`; throws `Unreadable`.
 */
export async function shrunk(original, longest) {
  const png = original.type === 'image/png' && original.size <= SMALL_PNG;
  const canvas = await onCanvas(original, longest, png ? null : '#fff');
  try {
    const { width, height } = canvas;
    const blob = await written(canvas, png ? 'image/png' : 'image/jpeg', QUALITY);
    const name = `picture.${blob.type === 'image/png' ? 'png' : 'jpg'}`;
    return { file: new File([blob], name, { type: blob.type }), width, height };
  } finally {
    letGo(canvas);
  }
}

/** A question for a picture. */
export function image(node, tools) {
  const looks = node.appearances ?? {};
  const front = looks['new-front'] || looks.front;
  const only = looks.new || looks['new-front'];
  const holder = keeping(node, tools, (file, address) => [
    make('img', { class: 'picture', src: address, alt: tools.t('picture_of', { label: tools.label?.() ?? '' }) }),
    make('p', { class: 'file-line' }, sized(file.size)),
  ]);
  let working = 0;

  async function take(original) {
    working += 1;
    const turn = working;
    holder.say(tools.t('picture_working'));
    try {
      const { file, width, height } = await shrunk(original, longestSide(node));
      if (turn !== working) return; // another one was taken meanwhile
      holder.say(null);
      if (holder.put(file)) tools.announce(tools.t('picture_ready', { width, height, size: sized(file.size) }));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      if (turn === working) holder.say(tools.t(error.key), true);
    }
  }

  const camera = picker(tools.t('picture_take'), 'image/*', take, { capture: front ? 'user' : 'environment', style: '', id: tools.controlId });
  const album = picker(tools.t('picture_choose'), 'image/*', take);
  const remove = make('button', { type: 'button', class: 'plain remove', hidden: true }, tools.t('file_remove'));
  remove.addEventListener('click', () => {
    working += 1;
    holder.say(null);
    emptied(node);
    camera.button.focus();
  });
  const buttons = make('div', { class: 'row file-buttons' }, camera.button, camera.input, ...(only ? [] : [album.button, album.input]), remove);

  return {
    element: make('div', { class: 'file image' }, holder.element, buttons),
    update(state) {
      holder.update(state);
      camera.button.textContent = tools.t(state.value ? 'picture_again' : 'picture_take');
      camera.button.classList.toggle('second', Boolean(state.value));
      buttons.hidden = state.readonly;
      remove.hidden = !state.value;
    },
    destroy() {
      working += 1;
      holder.destroy();
    },
  };
}
