// Questions put to the person filling, over the page: yes or no, and the menu.

import { make } from './elements.js';
import { t } from './words.js';

/** Ask; true when the first button was pressed. Escape and the back gesture mean no. */
export function sure(question, yes, no) {
  const accept = make('button', { type: 'submit', value: 'yes', class: 'danger' }, yes);
  const refuse = make('button', { type: 'submit', value: 'no', class: 'second', autofocus: true }, no);
  const words = make('p', { id: 'sure-words' }, question);
  const dialog = make(
    'dialog',
    { class: 'sheet', 'aria-labelledby': 'sure-words' },
    make('form', { method: 'dialog' }, words, make('div', { class: 'row end' }, refuse, accept)),
  );
  return opened(dialog).then((value) => value === 'yes');
}

/** A sheet with a title, content and a close button; resolves when it has closed. */
export function sheet(title, close, ...content) {
  const heading = make('h2', { id: 'sheet-title', tabindex: '-1', autofocus: true }, title);
  const button = make('button', { type: 'submit', class: 'second wide' }, close);
  const dialog = make(
    'dialog',
    { class: 'sheet', 'aria-labelledby': 'sheet-title' },
    heading,
    ...content,
    make('form', { method: 'dialog' }, button),
  );
  return opened(dialog);
}

/** Close the sheet that an element stands in. */
export function closeSheet(element) {
  element.closest('dialog')?.close('');
}

/** The button that shows what a new version of the form had no place for; '' where it had for all. */
export function keptButton(one, style = 'second') {
  if (!one?.before?.length) return '';
  const count = one.before.reduce((sum, { lost }) => sum + lost.length, 0);
  const button = make('button', { type: 'button', class: style }, t('kept_answers', { count }));
  button.addEventListener('click', async () => (await import('./changed.js')).keptAnswers(one.before));
  return button;
}

function opened(dialog) {
  document.body.append(dialog);
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close('');
  });
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}
