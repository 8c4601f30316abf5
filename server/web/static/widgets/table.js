// Questions that share their choices, as a table: one row a question, one column a choice.
//
// A form's table-list comes as one question with the choices' labels (`label`) and one without for
// each row (`list-nolabel`). Every row keeps its own field set; the style sheet gives all of them the
// same columns. The labels stay in sight above the rows, and each cell carries its own for those who
// listen.

import { make } from '../elements.js';
import { drawn } from '../markdown.js';
import { pictures } from '../pictures.js';
import './words.js';

/** With more columns than fit side by side on a phone, each cell shows its own label. */
const ACROSS = 7;

/** The heading, or a row. */
export function table(node, tools) {
  return node.appearances.label ? heading(node, tools) : row(node, tools);
}

function columns(element, count) {
  element.style.setProperty('--columns', count);
  element.classList.toggle('wide-table', count > ACROSS);
}

function heading(node, tools) {
  const element = make('div', { class: 'table-head', id: tools.controlId, 'aria-hidden': 'true' });
  let options = null;
  return {
    element,
    update(state) {
      if (state.valueOptions === options) return;
      options = state.valueOptions;
      columns(element, options.length);
      element.replaceChildren(...options.map(({ label }) => make('div', { class: 'table-label' }, ...pictures(label, tools.form), make('span', {}, drawn(label)))));
    },
  };
}

function row(node, tools) {
  const one = node.selectType === 'select1';
  const cells = make('div', { class: 'table-row', id: tools.controlId, tabindex: '-1' });
  const clear = make('button', { type: 'button', class: 'plain clear', hidden: true }, tools.t('clear'));
  let options = null;

  const cell = (option, index) => {
    const id = `${tools.controlId}-${index}`;
    const input = make('input', { type: one ? 'radio' : 'checkbox', id, name: tools.controlId, value: option.value });
    return make('label', { class: 'table-cell', for: id }, input, make('span', { class: 'cell-label' }, drawn(option.label)));
  };
  cells.addEventListener('change', () => {
    const chosen = [...cells.querySelectorAll('input:checked')].map((input) => input.value);
    if (one) node.selectValue(chosen[0] ?? null);
    else node.selectValues(chosen);
  });
  clear.addEventListener('click', () => {
    node.selectValue(null);
    cells.querySelector('input')?.focus();
  });

  return {
    element: make('div', {}, cells, clear),
    update(state) {
      if (state.valueOptions !== options) {
        options = state.valueOptions;
        columns(cells, options.length);
        cells.replaceChildren(...options.map(cell));
      }
      const chosen = new Set(state.value);
      for (const input of cells.querySelectorAll('input')) {
        input.checked = chosen.has(input.value);
        input.disabled = state.readonly;
      }
      clear.hidden = !one || state.required || state.readonly || chosen.size === 0;
    },
  };
}
