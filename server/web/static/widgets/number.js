// Numbers: typed with a phone's digits, Thai or Arabic, with or without commas.

import { make, mark } from '../elements.js';
import { described, plainDigits } from './text.js';

const GREATEST = 2_147_483_647n;

/** A whole number between -2,147,483,647 and 2,147,483,647, which is what the format holds. */
export function integer(node, tools) {
  return number(node, tools, 'numeric', (typed) => {
    if (!/^[-+]?\d+$/.test(typed)) return { problem: 'error_integer' };
    const value = BigInt(typed.replace('+', ''));
    return value > GREATEST || value < -GREATEST ? { problem: 'error_too_big' } : { value };
  });
}

/** A number with a fraction. */
export function decimal(node, tools) {
  return number(node, tools, 'decimal', (typed) => {
    if (!/^[-+]?(\d+\.?\d*|\.\d+)$/.test(typed)) return { problem: 'error_decimal' };
    const value = Number(typed);
    return Number.isFinite(value) ? { value } : { problem: 'error_decimal' };
  });
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
    const typed = plainDigits(control.value)
      .replace(/[,\s\u00a0]/g, '')
      .replace('−', '-');
    const found = typed === '' ? { value: null } : read(typed);
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
