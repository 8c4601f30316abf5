// An order: moved by arrows or dragged. The order a form begins with is no answer until it is kept.

import { make } from '../elements.js';
import { drawn } from '../markdown.js';
import { pictures } from '../pictures.js';
import './words.js';

/** A rank question. */
export function rank(node, tools) {
  const list = make('ol', { class: 'rank', id: tools.controlId, tabindex: '-1' });
  const told = make('p', { class: 'q-hint' }, tools.t('rank_untouched'));
  const keep = make('button', { type: 'button', class: 'second wide' }, tools.t('rank_keep'));
  const clear = make('button', { type: 'button', class: 'plain clear', hidden: true }, tools.t('clear'));
  const element = make('div', {}, told, list, keep, clear);
  let options = null;
  let drag = null;

  const items = () => [...list.children];
  const order = () => items().map((item) => item.dataset.value);
  const words = (value) => options.find((one) => one.value === value)?.label.asString ?? value;

  function put(moved) {
    node.setValues(order());
    if (moved) tools.announce(tools.t('rank_at', { label: words(moved.dataset.value), n: items().indexOf(moved) + 1, of: options.length }));
  }

  function item(option) {
    const label = option.label.asString;
    const button = (kind, sign, act) => {
      const made = make('button', { type: 'button', class: `second rank-${kind}`, 'aria-label': tools.t(`rank_${kind}`, { label }) }, sign);
      made.addEventListener('click', act);
      return made;
    };
    const place = make('span', { class: 'rank-at', 'aria-hidden': 'true' });
    const handle = make('span', { class: 'rank-handle', 'aria-hidden': 'true' }, '⠿');
    const up = button('up', '↑', () => move(element, -1, up, down));
    const down = button('down', '↓', () => move(element, 1, down, up));
    const element = make(
      'li',
      { class: 'rank-item', 'data-value': option.value },
      handle, place, ...pictures(option.label, tools.form), make('span', { class: 'rank-words' }, drawn(option.label)), up, down,
    );
    handle.addEventListener('pointerdown', (event) => {
      if (node.currentState.readonly || event.button > 0) return;
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
      drag = { id: event.pointerId, element, from: items().indexOf(element) };
      element.classList.add('dragged');
    });
    handle.addEventListener('pointermove', (event) => {
      if (drag?.id !== event.pointerId) return;
      // The others move, not the dragged one: out of the document it would lose the pointer.
      const middle = (one) => {
        const box = one.getBoundingClientRect();
        return box.top + box.height / 2;
      };
      const before = () => element.previousElementSibling;
      const after = () => element.nextElementSibling;
      while (before() && event.clientY < middle(before())) element.after(before());
      while (after() && event.clientY > middle(after())) element.before(after());
      numbers();
    });
    const drop = (event) => {
      if (drag?.id !== event.pointerId) return;
      const { from } = drag;
      drag = null;
      element.classList.remove('dragged');
      if (items().indexOf(element) !== from) put(element);
    };
    handle.addEventListener('pointerup', drop);
    handle.addEventListener('pointercancel', drop);
    return element;
  }

  function move(element, by, pressed, other) {
    if (by < 0) element.previousElementSibling?.before(element);
    else element.nextElementSibling?.after(element);
    put(element);
    numbers();
    (pressed.disabled ? other : pressed).focus({ preventScroll: true });
    element.scrollIntoView({ block: 'nearest' });
  }

  function numbers() {
    const all = items();
    const { readonly } = node.currentState;
    all.forEach((one, index) => {
      one.querySelector('.rank-at').textContent = `${index + 1}`;
      one.querySelector('.rank-up').disabled = readonly || index === 0;
      one.querySelector('.rank-down').disabled = readonly || index === all.length - 1;
    });
  }

  keep.addEventListener('click', () => {
    put(null);
    list.focus();
  });
  clear.addEventListener('click', () => {
    node.setValues([]);
    keep.focus();
  });

  return {
    element,
    update(state) {
      if (state.valueOptions !== options) {
        options = state.valueOptions;
        list.replaceChildren(...options.map(item));
      }
      const ranked = state.value.length > 0;
      const wanted = ranked ? state.value : options.map(({ value }) => value);
      if (!drag && wanted.join(' ') !== order().join(' ')) {
        const known = new Map(items().map((one) => [one.dataset.value, one]));
        list.append(...wanted.map((value) => known.get(value)).filter(Boolean));
      }
      numbers();
      list.classList.toggle('untouched', !ranked);
      told.hidden = ranked;
      keep.hidden = ranked || state.readonly || !options.length;
      clear.hidden = !ranked || state.required || state.readonly;
    },
  };
}
