// Words and codes: one line, several lines, digits, an address, or hidden while typed.

import { make, mark } from '../elements.js';

const THAI_DIGITS = '๐๑๒๓๔๕๖๗๘๙';

/** Thai digits as the ones that are stored. */
export function plainDigits(text) {
  return text.replace(/[๐-๙]/g, (digit) => String(THAI_DIGITS.indexOf(digit)));
}

/** What every typed control carries. */
export function described(tools) {
  return {
    id: tools.controlId,
    'aria-labelledby': tools.labelId,
    'aria-describedby': `${tools.hintId} ${tools.errorId}`,
  };
}

/** A text question and any input of a type nobody knows. */
export function text(node, tools) {
  const looks = node.appearances ?? {};
  const rows = node.nodeOptions?.rows ?? (looks.multiline ? 4 : null);
  const digits = Boolean(looks.numbers);
  const control = rows
    ? make('textarea', { ...described(tools), rows })
    : make('input', {
        ...described(tools),
        type: looks.masked ? 'password' : 'text',
        inputmode: digits ? 'numeric' : looks.url ? 'url' : null,
        enterkeyhint: 'next',
        autocomplete: looks.masked ? 'new-password' : 'off',
        autocapitalize: digits || looks.url ? 'off' : null,
      });
  const link = make(
    'a',
    { class: 'open-link', target: '_blank', rel: 'noopener noreferrer', hidden: true },
    tools.t('open_link'),
  );
  const element = looks.url ? make('div', {}, control, link) : control;
  control.addEventListener('input', () => node.setValue(digits ? plainDigits(control.value) : control.value));
  return {
    element,
    update(state) {
      // An answer that the engine gave back as it was typed must not move the cursor.
      const typed = digits ? plainDigits(control.value) : control.value;
      if (typed !== state.instanceValue) control.value = state.instanceValue;
      control.readOnly = state.readonly;
      mark(control, 'aria-required', state.required ? 'true' : null);
      if (looks.url) {
        const address = /^https?:\/\/\S+$/i.test(state.instanceValue) ? state.instanceValue : null;
        link.hidden = !address;
        mark(link, 'href', address);
      }
    },
  };
}
