// Choices that are read at one glance: a list, columns, five big buttons, with or without pictures.

import { make } from '../elements.js';
import { drawn } from '../markdown.js';
import { pictures } from '../pictures.js';

/** Labels that fit side by side on a phone: short ones, whose words need not be cut. */
const SHORT = 12;
const WORD = /[\w-]{10,}/;

/** One or several choices as radio buttons or tick boxes. */
export function choices(node, tools) {
  const looks = node.appearances ?? {};
  const one = node.selectType === 'select1';
  const list = make('div', { class: 'choices', id: tools.controlId, tabindex: '-1' });
  const clear = make('button', { type: 'button', class: 'plain clear', hidden: true }, tools.t('clear'));
  const element = make('div', {}, list, one ? clear : '');
  let options = null;

  const build = (state) => {
    options = state.valueOptions;
    list.className = `choices ${shape(looks, state)}`;
    list.replaceChildren(...options.map((option, index) => choice(option, `${tools.controlId}-${index}`)));
    if (!options.length) list.append(make('p', { class: 'q-hint' }, tools.t('no_choices')));
  };

  const choice = (option, id) => {
    const input = make('input', {
      type: one ? 'radio' : 'checkbox',
      id,
      name: tools.controlId,
      value: option.value,
    });
    const media = pictures(option.label, tools.form);
    return make(
      'label',
      { class: 'choice', for: id },
      input,
      ...media,
      make('span', { class: 'choice-text' }, drawn(option.label)),
    );
  };

  list.addEventListener('change', () => {
    const chosen = [...list.querySelectorAll('input:checked')].map((input) => input.value);
    if (one) node.selectValue(chosen[0] ?? null);
    else node.selectValues(chosen);
    if (one && chosen.length && (looks.quick || looks.quickcompact)) tools.next?.();
  });
  clear.addEventListener('click', () => {
    node.selectValue(null);
    list.querySelector('input')?.focus();
  });

  return {
    element,
    update(state) {
      if (state.valueOptions !== options) build(state);
      const chosen = new Set(state.value);
      for (const input of list.querySelectorAll('input')) {
        input.checked = chosen.has(input.value);
        input.disabled = state.readonly;
      }
      clear.hidden = state.required || state.readonly || chosen.size === 0;
    },
  };
}

/** The class that lays the choices out, from the appearance. */
function shape(looks, state) {
  const columns = [2, 3, 4, 5, 6, 7, 8, 9, 10].find((n) => looks[`columns-${n}`]);
  if (looks.likert) {
    const labels = state.valueOptions.map(({ label }) => label.asString);
    const fits = labels.length <= 5 && labels.every((text) => text.length <= SHORT && !WORD.test(text));
    return fits ? `likert across-${state.valueOptions.length}` : 'likert';
  }
  if (columns) return `columns across-${Math.min(columns, 5)}`;
  if (looks['columns-1']) return 'list';
  if (
    looks['columns-pack'] ||
    looks.horizontal ||
    looks['horizontal-compact'] ||
    looks.compact ||
    looks.quickcompact
  )
    return 'pack';
  if (looks.columns || state.isSelectWithImages) return 'columns';
  return 'list';
}
