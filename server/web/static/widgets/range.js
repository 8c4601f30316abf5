// A number on a scale: a slider, a list to pick from, or stars. Nothing is chosen until touched.

import { make, mark } from '../elements.js';
import { described } from './text.js';
import './words.js';

const MARKS = 20; // more lines than that are a grey bar
const PICKED = 500;

/** A range question. */
export function range(node, tools) {
  const scale = scaleOf(node);
  const looks = node.appearances ?? {};
  if (looks.rating) return stars(node, tools, scale);
  if (looks.picker && scale.count <= PICKED) return picked(node, tools, scale);
  return slider(node, tools, scale, looks);
}

/** The scale's values as numbers: `{start, end, step, count, at(index), index(text), put(value)}`. */
export function scaleOf(node) {
  const { bounds } = node.definition;
  const [start, end, step] = [bounds.start, bounds.end, bounds.step].map(Number);
  const decimals = Math.max(...[start, end, step].map((number) => (String(number).split('.')[1] ?? '').length));
  const count = Math.max(0, Math.floor((end - start) / step + 1e-9)) + 1;
  const at = (index) => (start + index * step).toFixed(decimals);
  return {
    start, end, step, count, at,
    index: (text) => (text === '' ? -1 : Math.max(0, Math.min(count - 1, Math.round((Number(text) - start) / step)))),
    value: (index) => (node.valueType === 'int' ? BigInt(at(index)) : Number(at(index))),
  };
}

function clearing(node, tools, after) {
  const button = make('button', { type: 'button', class: 'plain clear', hidden: true }, tools.t('clear'));
  button.addEventListener('click', () => {
    node.setValue(null);
    after().focus();
  });
  return {
    button,
    update: (state) => {
      button.hidden = state.required || state.readonly || state.instanceValue === '';
    },
  };
}

function slider(node, tools, scale, looks) {
  const upright = Boolean(looks.vertical);
  const last = scale.count - 1;
  const control = make('input', {
    ...described(tools), type: 'range', min: 0, max: last, step: 1, class: 'scale',
    'aria-orientation': upright ? 'vertical' : null,
  });
  const value = make('output', { class: 'scale-value', for: tools.controlId, 'aria-live': 'off' });
  const less = make('button', { type: 'button', class: 'second scale-step', 'aria-label': tools.t('range_less') }, '−');
  const more = make('button', { type: 'button', class: 'second scale-step', 'aria-label': tools.t('range_more') }, '+');
  const marks = !looks['no-ticks'] && last <= MARKS;
  const track = make('div', { class: `scale-track${marks ? ' marked' : ''}` }, control);
  track.style.setProperty('--steps', last);
  const ends = make('div', { class: 'scale-ends', 'aria-hidden': 'true' }, make('span', {}, scale.at(0)), make('span', {}, scale.at(last)));
  const clear = clearing(node, tools, () => control);
  const body = make('div', { class: 'scale-middle' }, track, looks['no-ticks'] ? '' : ends);
  const element = make('div', { class: `range${upright ? ' upright' : ''}` }, value, make('div', { class: 'scale-row' }, less, body, more), clear.button);

  const put = (index) => node.setValue(scale.value(Math.max(0, Math.min(last, index))));
  const present = () => scale.index(node.currentState.instanceValue);
  const untouched = () => present() < 0;
  control.addEventListener('input', () => put(Number(control.value)));
  // A touch where the handle already stands changes nothing, but it chooses.
  control.addEventListener('click', () => untouched() && put(Number(control.value)));
  control.addEventListener('keydown', (event) => {
    if (!untouched() || !['Enter', ' '].includes(event.key)) return;
    event.preventDefault();
    put(Number(control.value));
  });
  const middle = () => Math.floor(last / 2);
  less.addEventListener('click', () => put(untouched() ? middle() : present() - 1));
  more.addEventListener('click', () => put(untouched() ? middle() : present() + 1));

  return {
    element,
    update(state) {
      const index = scale.index(state.instanceValue);
      const chosen = index >= 0;
      if (chosen) control.value = String(index);
      else if (document.activeElement !== control) control.value = String(middle());
      element.classList.toggle('untouched', !chosen);
      value.textContent = chosen ? state.instanceValue : tools.t('range_none');
      mark(control, 'aria-valuetext', chosen ? state.instanceValue : tools.t('range_none'));
      control.disabled = state.readonly;
      less.disabled = state.readonly || index === 0;
      more.disabled = state.readonly || index === last;
      clear.update(state);
    },
  };
}

function picked(node, tools, scale) {
  const control = make('select', { ...described(tools), class: 'picker' }, make('option', { value: '' }, tools.t('choose')));
  for (let index = 0; index < scale.count; index += 1) control.append(make('option', { value: index }, scale.at(index)));
  control.addEventListener('change', () => node.setValue(control.value === '' ? null : scale.value(Number(control.value))));
  return {
    element: control,
    update(state) {
      const index = scale.index(state.instanceValue);
      control.value = index < 0 ? '' : String(index);
      control.disabled = state.readonly;
      mark(control, 'aria-required', state.required ? 'true' : null);
    },
  };
}

function stars(node, tools, scale) {
  const list = make('div', { class: 'stars', id: tools.controlId, tabindex: '-1' });
  const said = make('p', { class: 'scale-value' });
  const clear = clearing(node, tools, () => list.querySelector('input'));
  for (let index = 0; index < scale.count; index += 1) {
    const id = `${tools.controlId}-${index}`;
    const input = make('input', {
      type: 'radio', class: 'vh', id, name: tools.controlId, value: index,
      'aria-label': tools.t('range_star', { n: scale.at(index), of: scale.at(scale.count - 1) }),
    });
    list.append(make('label', { class: 'star', for: id }, input, make('span', { 'aria-hidden': 'true' })));
  }
  list.addEventListener('change', (event) => node.setValue(scale.value(Number(event.target.value))));
  return {
    element: make('div', { class: 'range rating' }, list, said, clear.button),
    update(state) {
      const index = scale.index(state.instanceValue);
      [...list.children].forEach((star, at) => {
        star.classList.toggle('full', at <= index);
        star.firstChild.checked = at === index;
        star.firstChild.disabled = state.readonly;
      });
      said.textContent = index < 0 ? tools.t('range_none') : tools.t('range_star', { n: scale.at(index), of: scale.at(scale.count - 1) });
      clear.update(state);
    },
  };
}
