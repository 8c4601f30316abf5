// Numbers: typed with a phone's digits, Thai or Arabic, with or without commas.

import { make, mark } from '../elements.js';
import { described, plainDigits } from './text.js';

const GREATEST = 2_147_483_647n;
const THOUSANDS = /^[-+]?\d{1,3}(,\d{3})+(\.\d*)?$/;

/** A whole number between -2,147,483,647 and 2,147,483,647, which is what the format holds. */
export function integer(node, tools) {
  return number(node, tools, 'numeric', readInteger);
}

/** What was typed for a whole number: `{value}`, a BigInt, or `{problem}` with the key of its words. */
export function readInteger(text) {
  const typed = plain(text);
  if (!/^[-+]?\d+$/.test(typed)) return { problem: 'error_integer' };
  const value = BigInt(typed.replace('+', ''));
  return value > GREATEST || value < -GREATEST ? { problem: 'error_too_big' } : { value };
}

/** A number with a fraction. */
export function decimal(node, tools) {
  return number(node, tools, 'decimal', readDecimal);
}

/** The same for a number with a fraction; the value is finite. */
export function readDecimal(text) {
  const typed = plain(text);
  if (!/^[-+]?(\d+\.?\d*|\.\d+)$/.test(typed)) return { problem: 'error_decimal' };
  const value = Number(typed);
  return Number.isFinite(value) ? { value } : { problem: 'error_decimal' };
}

/** With plain digits; commas go only from between thousands, for "36,5" is not 365. */
function plain(text) {
  const typed = plainDigits(text)
    .replace(/[\s\u00a0]/g, '')
    .replace('−', '-');
  return THOUSANDS.test(typed) ? typed.replaceAll(',', '') : typed;
}

function number(node, tools, keyboard, read) {
  const commas = Boolean(node.appearances?.['thousands-sep']);
  const control = make('input', {
    ...described(tools),
    type: 'text',
    inputmode: keyboard,
    autocomplete: 'off',
    enterkeyhint: 'next',
    class: 'number',
  });
  let trouble = null;
  let own = '';

  const shown = (value) => (commas && document.activeElement !== control ? separated(value) : value);
  control.addEventListener('input', () => {
    const found = control.value.trim() === '' ? { value: null } : read(control.value);
    trouble = found.problem ?? null;
    node.setValue(found.value ?? null);
    own = node.currentState.instanceValue;
  });
  control.addEventListener('focus', () => {
    if (commas && !trouble) control.value = node.currentState.instanceValue;
  });
  control.addEventListener('blur', () => {
    if (!trouble) control.value = shown(node.currentState.instanceValue);
  });
  return {
    element: control,
    update(state) {
      const typing = document.activeElement === control && state.instanceValue === own;
      if (!typing && !(trouble && state.instanceValue === '')) {
        control.value = shown(state.instanceValue);
        trouble = null;
      }
      control.readOnly = state.readonly;
      mark(control, 'aria-required', state.required ? 'true' : null);
    },
    problem: () => trouble && tools.t(trouble),
  };
}

/** 1234567.5 as 1,234,567.5 */
export function separated(value) {
  const [whole, fraction] = value.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}
