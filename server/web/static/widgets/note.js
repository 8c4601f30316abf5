// A note: words to read, and a value where the form computes one.

import { dayInWords } from '../calendar.js';
import { make } from '../elements.js';

/** The value of a readonly question, or of one with nothing but its label. */
export function note(node, tools) {
  const value = make('p', { class: 'note-value', id: tools.controlId });
  return {
    element: value,
    update(state) {
      const day = node.valueType === 'date' ? dayInWords(state.instanceValue, tools.lang()) : '';
      value.textContent = day || state.instanceValue;
      value.hidden = state.instanceValue === '';
    },
  };
}
