// A sheet over the whole screen, for what needs the room: a long list, the camera, a drawing.

import { make } from '../elements.js';
import { drawn } from '../markdown.js';

/**
 * Open a sheet that is titled by a question. `closed()` is called once when it has closed, by
 * `close()`, its button, Escape or the phone's way back. Returns `{element, body, foot, close()}`.
 */
export function wholeScreen(node, tools, kind, closed) {
  const titleId = `${tools.controlId}-sheet`;
  const title = make('h2', { class: 'whole-title', id: titleId }, drawn(node.currentState.label));
  if (!title.textContent.trim()) title.textContent = tools.t('sheet');
  const away = make('button', { type: 'button', class: 'second whole-close' }, tools.t('close'));
  const body = make('div', { class: 'whole-body' });
  const foot = make('div', { class: 'whole-foot' });
  const element = make(
    'dialog',
    { class: `whole ${kind}`, 'aria-labelledby': titleId },
    make('div', { class: 'whole-head' }, title, away),
    body,
    foot,
  );
  const close = () => element.close();
  away.addEventListener('click', close);
  element.addEventListener('close', () => {
    element.remove();
    closed();
  });
  document.body.append(element);
  element.showModal();
  return { element, body, foot, close };
}
