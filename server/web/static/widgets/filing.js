// What all questions for a file have in common: the kept file, its name and size, and refusals.

import { make } from '../elements.js';
import { most, sized } from './sizes.js';
import './words.js';

/** A button that opens the phone's picker or camera; `chosen(file)` for what the person took. */
export function picker(words, accept, chosen, { capture = null, style = 'second', id = null } = {}) {
  const input = make('input', { type: 'file', accept, capture, hidden: true, tabindex: '-1', 'aria-hidden': 'true' });
  const button = make('button', { type: 'button', class: style, id }, words);
  button.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const [file] = input.files;
    input.value = ''; // the same file may be taken again
    if (file) chosen(file);
  });
  return { button, input };
}

/**
 * Take a question's file away. The engine (0.22) falls back to the name with which the instance
 * was opened, so that a draft's or a sent record's file would be named without being there.
 */
export function emptied(node) {
  if (node.instanceNode?.value) node.instanceNode.value = '';
  node.setValue(null);
}

/**
 * The kept file of a question: shown, refused, taken away. `show(file, address)` gives the elements
 * that let a person see or hear it. Returns `{element, put(file), say(words, bad), update(state)}`;
 * `put` gives true where the file was taken.
 */
export function keeping(node, tools, show) {
  const told = make('p', { class: 'file-told', role: 'status', hidden: true });
  const kept = make('div', { class: 'file-kept' });
  const element = make('div', { class: 'file-holder' }, kept, told);
  let shown = null;
  let address = null;

  const say = (words, bad = false) => {
    told.textContent = words ?? '';
    told.hidden = !words;
    told.classList.toggle('bad', bad);
  };
  const forget = () => {
    if (address) URL.revokeObjectURL(address);
    address = null;
  };

  return {
    element,
    say,
    put(file) {
      const limit = most(tools.form.config);
      if (!file.size) say(tools.t('file_empty'), true);
      else if (file.size > limit) say(tools.t('file_large', { size: sized(file.size), limit: sized(limit) }), true);
      else {
        node.setValue(file);
        tools.check?.();
        return true;
      }
      return false;
    },
    update(state) {
      const { value, attachmentState } = state;
      if (value === shown && value) return;
      shown = value;
      forget();
      kept.replaceChildren();
      if (value) {
        address = URL.createObjectURL(value);
        kept.append(...show(value, address));
      } else if (attachmentState?.loading) {
        kept.append(make('p', { class: 'q-hint' }, tools.t('file_loading')));
      } else if (attachmentState?.loadingError) {
        const again = make('button', { type: 'button', class: 'second' }, tools.t('try_again'));
        again.addEventListener('click', () => node.retryFetch());
        kept.append(make('p', { class: 'file-told bad' }, tools.t('file_lost')), again);
      }
    },
    destroy: forget,
  };
}

/** Name and size, in one line. */
export function line(file) {
  return make('p', { class: 'file-line' }, `${file.name} · ${sized(file.size)}`);
}
