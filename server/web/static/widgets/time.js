// A time of day, kept with the phone's offset from UTC as ODK Collect keeps it.

import { make, mark } from '../elements.js';
import { described } from './text.js';

/** The offset of a moment here, as +07:00. */
export function offset(when = new Date()) {
  const minutes = -when.getTimezoneOffset();
  const two = (number) => String(Math.floor(Math.abs(number))).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
}

/** A time question. */
export function time(node, tools) {
  const control = make('input', { ...described(tools), type: 'time', class: 'time' });
  const nowButton = make('button', { type: 'button', class: 'second' }, tools.t('now'));
  const put = (value) => node.setValue(value ? `${value}:00.000${offset()}` : null);
  control.addEventListener('input', () => put(control.value));
  nowButton.addEventListener('click', () => put(clock(new Date())));
  return {
    element: make('div', { class: 'row' }, control, nowButton),
    update(state) {
      const value = state.instanceValue.slice(0, 5);
      if (value !== control.value && (value || document.activeElement !== control)) control.value = value;
      control.readOnly = state.readonly;
      nowButton.hidden = state.readonly;
      mark(control, 'aria-required', state.required ? 'true' : null);
    },
    problem: () => (control.validity.badInput ? tools.t('error_time') : null),
  };
}

/** Hours and minutes of a moment, as 09:05. */
export function clock(when) {
  return `${String(when.getHours()).padStart(2, '0')}:${String(when.getMinutes()).padStart(2, '0')}`;
}
