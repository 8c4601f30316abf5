// Numbers: typed with a phone's digits, Thai or Arabic, with or without commas, and with a button for
// the sign where they may be negative: the number pad of an iPhone has no minus.

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
  const sign = mayBeNegative(node) ? signButton(control, tools) : null;
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
    element: sign ? make('div', { class: 'signed' }, control, sign) : control,
    update(state) {
      const typing = document.activeElement === control && state.instanceValue === own;
      if (!typing && !(trouble && state.instanceValue === '')) {
        control.value = shown(state.instanceValue);
        trouble = null;
      }
      control.readOnly = state.readonly;
      if (sign) sign.hidden = state.readonly;
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

// --- the sign --------------------------------------------------------------------------------

/**
 * Whether the question's own rule leaves room for a number below zero. Where a rule is not
 * understood the answer is yes: better a button too many than a number that cannot be typed.
 */
function mayBeNegative(node) {
  const rule = node.definition?.bind?.constraint;
  return !rule?.expression || rule.isDefaultExpression || !excludes(rule.expression);
}

/** Whether an XPath rule about "." refuses every number below zero, as far as it can be told. */
export function excludes(rule) {
  const text = bare(rule);
  const either = split(text, 'or');
  if (either.length > 1) return either.every(excludes);
  const all = split(text, 'and');
  if (all.length > 1) return all.some(excludes);
  return (
    /^\.\s*(>=?|=)\s*(\d+\.?\d*|\.\d+)$/.test(text) ||
    /^(\d+\.?\d*|\.\d+)\s*(<=?|=)\s*\.$/.test(text) ||
    /^regex\(\s*\.\s*,\s*(['"])\^(\\d|\[0-9\]|\[1-9\]|\d)[^|]*\1\s*\)$/.test(text)
  );
}

/** Without the brackets around the whole. */
function bare(rule) {
  const text = rule.trim();
  if (!text.startsWith('(') || closing(text, 0) !== text.length - 1) return text;
  return bare(text.slice(1, -1));
}

/** The parts between a word that stands in no brackets and no quotes. */
function split(text, word) {
  const between = new RegExp(`^[\\s)]${word}[\\s(]`); // ".>=0 and (.<9)"
  const parts = [];
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '(') at = closing(text, at) - 1;
    else if (`'"`.includes(text[at])) at = ending(text, at);
    else if (between.test(text.slice(at))) {
      parts.push(text.slice(from, at + 1));
      from = at + 1 + word.length;
    }
  }
  return [...parts, text.slice(from)];
}

function closing(text, open) {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (`'"`.includes(text[at])) at = ending(text, at);
    else if (text[at] === '(') depth += 1;
    else if (text[at] === ')' && (depth -= 1) === 0) return at;
  }
  return text.length;
}

function ending(text, quote) {
  const at = text.indexOf(text[quote], quote + 1);
  return at < 0 ? text.length : at;
}

/** A button that turns the sign of what is typed in `control`, which keeps the focus. */
function signButton(control, tools) {
  const words = tools.t('sign');
  const button = make('button', { type: 'button', class: 'second sign', 'aria-label': words, title: words }, '±');
  button.addEventListener('pointerdown', (event) => event.preventDefault()); // the keyboard stays
  button.addEventListener('click', () => {
    const typed = control.value.trim();
    control.focus();
    control.value = /^[-−]/.test(typed) ? typed.slice(1) : `-${typed.replace(/^\+/, '')}`;
    control.setSelectionRange(control.value.length, control.value.length);
    control.dispatchEvent(new Event('input', { bubbles: true }));
  });
  return button;
}
