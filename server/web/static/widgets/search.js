// A choice from a list that is searched: opens over the whole screen, holds thousands of rows.

import { make, mark } from '../elements.js';
import { drawn } from '../markdown.js';
import { pictures } from '../pictures.js';
import { finder } from './matching.js';
import { longList } from './rows.js';
import { wholeScreen } from './sheet.js';
import './words.js';

/** Fewer rows are read without a field to search in. */
const GLANCE = 8;
/** With more, the person will type: the keyboard comes at once. */
const TYPED = 60;
const PAGE = 8;

/** One or several choices from a long list, in the document only while it is open. */
export function search(node, tools) {
  const one = node.selectType === 'select1';
  const words = make('span', { class: 'pick-words' });
  const control = make(
    'button',
    {
      type: 'button', class: 'pick', id: tools.controlId, role: 'combobox',
      'aria-haspopup': 'dialog', 'aria-expanded': 'false',
      'aria-labelledby': tools.labelId, 'aria-describedby': `${tools.hintId} ${tools.errorId}`,
    },
    words,
  );
  const clear = make('button', { type: 'button', class: 'plain clear', hidden: true }, tools.t('clear'));
  const empty = make('p', { class: 'q-hint', hidden: true }, tools.t('no_choices'));
  const element = make('div', { class: 'search' }, control, clear, empty);
  let sheet = null;

  control.addEventListener('click', () => {
    if (sheet || node.currentState.readonly || !node.currentState.valueOptions.length) return;
    sheet = openList(node, tools, one, () => {
      sheet = null;
      mark(control, 'aria-expanded', 'false');
      control.focus({ preventScroll: true });
    });
    mark(control, 'aria-expanded', 'true');
  });
  clear.addEventListener('click', () => {
    node.selectValues([]);
    control.focus();
  });

  return {
    element,
    update(state) {
      const chosen = new Set(state.value);
      const labels = chosen.size ? state.valueOptions.filter(({ value }) => chosen.has(value)).map(({ label }) => drawn(label)) : [];
      if (labels.length) words.replaceChildren(...labels.map((label) => make('span', { class: 'pick-one' }, label)));
      else words.replaceChildren(tools.t('choose'));
      control.classList.toggle('unchosen', !labels.length);
      control.disabled = state.readonly;
      empty.hidden = state.valueOptions.length > 0;
      mark(control, 'aria-required', state.required ? 'true' : null);
      clear.hidden = state.required || state.readonly || !labels.length;
      sheet?.update(state);
    },
    destroy: () => sheet?.close(),
  };
}

function openList(node, tools, one, closed) {
  const listId = `${tools.controlId}-list`;
  const sheet = wholeScreen(node, tools, 'search-sheet', () => {
    rows.stop();
    closed();
  });
  const field = make('input', {
    type: 'text', class: 'search-field', role: 'combobox', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
    enterkeyhint: 'search', placeholder: tools.t('search_type'), 'aria-label': tools.t('search_type'),
    'aria-expanded': 'true', 'aria-controls': listId, 'aria-autocomplete': 'list',
  });
  const count = make('p', { class: 'search-count', role: 'status' });
  const scroller = make('div', { class: 'search-rows' });
  const done = make('button', { type: 'button', class: 'wide' });
  sheet.body.append(field, count, scroller);

  let options = node.currentState.valueOptions;
  let texts;
  let find;
  let rows;
  let found;
  let active = -1;
  let chosen = new Set(node.currentState.value);

  const row = (at) => {
    const option = options[found[at]];
    const element = make(
      'li',
      {
        class: 'search-row', role: 'option', id: `${listId}-${found[at]}`, 'data-at': at,
        'aria-selected': String(chosen.has(option.value)), 'aria-setsize': found.length, 'aria-posinset': at + 1,
      },
      ...inside(option),
    );
    element.classList.toggle('active', at === active);
    return element;
  };
  const inside = ({ label }) => [...pictures(label, tools.form), make('span', { class: 'search-words' }, drawn(label))];
  const sample = (index) => make('li', { class: 'search-row' }, ...inside(options[index]));

  function begin() {
    texts = options.map(({ label, value }) => `${label.asString}\n${value}`);
    find = finder(texts);
    found = options.map((_, index) => index);
    rows?.stop();
    rows = longList(scroller, row, options.map(({ label }) => label.asString), sample);
    for (const [name, value] of [['role', 'listbox'], ['id', listId], ['tabindex', '0'], ['aria-labelledby', `${tools.controlId}-sheet`]]) {
      mark(rows.list, name, value);
    }
    if (!one) mark(rows.list, 'aria-multiselectable', 'true');
    field.hidden = options.length <= GLANCE;
    look();
  }

  function look() {
    found = find(field.value);
    const query = field.value.trim();
    count.textContent = found.length ? tools.t('search_count', { count: found.length.toLocaleString('en') }) : tools.t('search_none', { query });
    count.hidden = field.hidden;
    active = -1;
    rows.show(found.length);
    step(query && found.length ? 0 : -1);
  }

  function step(at) {
    rows.list.querySelector('.active')?.classList.remove('active');
    active = at;
    const element = at < 0 ? null : rows.reach(at);
    element?.classList.add('active');
    mark(field, 'aria-activedescendant', element?.id ?? null);
    mark(rows.list, 'aria-activedescendant', element?.id ?? null);
  }

  function choose(at) {
    const { value } = options[found[at]];
    if (one) {
      node.selectValues([value]);
      sheet.close();
      return;
    }
    const wanted = new Set(chosen);
    if (!wanted.delete(value)) wanted.add(value);
    node.selectValues([...wanted]);
    chosen = new Set(node.currentState.value);
    marks();
    step(at);
  }

  function marks() {
    for (const element of rows.list.children) {
      mark(element, 'aria-selected', String(chosen.has(options[found[element.dataset.at]].value)));
    }
    done.textContent = tools.t('search_done', { count: chosen.size });
  }

  field.addEventListener('input', look);
  scroller.addEventListener('click', (event) => {
    const element = event.target.closest('[data-at]');
    if (element) choose(Number(element.dataset.at));
  });
  sheet.element.addEventListener('keydown', (event) => {
    if (event.target.closest('button') || event.isComposing) return;
    const last = found.length - 1;
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + PAGE, PageUp: active - PAGE };
    if (event.target !== field) Object.assign(moves, { Home: 0, End: last });
    const to = moves[event.key];
    if (to !== undefined && last >= 0) {
      event.preventDefault();
      step(Math.max(0, Math.min(last, to)));
    } else if (event.key === 'Enter' || (event.key === ' ' && event.target !== field)) {
      event.preventDefault();
      if (active >= 0) choose(active);
    }
  });

  begin();
  if (!one) {
    done.addEventListener('click', sheet.close);
    sheet.foot.append(done);
    marks();
  }
  const at = one ? options.findIndex(({ value }) => chosen.has(value)) : -1;
  if (at >= 0) {
    scroller.scrollTop = 0;
    rows.reach(Math.min(at + 2, options.length - 1));
    step(at);
  }
  if (options.length > TYPED) field.focus();
  else rows.list.focus({ preventScroll: true });

  return {
    close: sheet.close,
    update(state) {
      chosen = new Set(state.value);
      if (state.valueOptions !== options) {
        options = state.valueOptions;
        if (options.length) begin();
        else sheet.close();
      }
      if (sheet.element.open) marks();
    },
  };
}
