// A statement to acknowledge: one tick, stored as "OK".

import { make } from '../elements.js';

/** The tick of an acknowledge question. */
export function trigger(node, tools) {
  const box = make('input', {
    type: 'checkbox',
    id: tools.controlId,
    'aria-describedby': `${tools.hintId} ${tools.errorId}`,
    'aria-labelledby': `${tools.labelId} ${tools.controlId}-ok`,
  });
  box.addEventListener('change', () => node.setValue(box.checked));
  return {
    element: make(
      'label',
      { class: 'choice', for: tools.controlId },
      box,
      make('span', { class: 'choice-text', id: `${tools.controlId}-ok` }, tools.t('understood')),
    ),
    update(state) {
      box.checked = state.value === true;
      box.disabled = state.readonly;
    },
  };
}
