// Dates: a Buddhist-era date as day, month's name and year; other dates by the phone's calendar.
//
// What is stored is always ISO and Gregorian (https://getodk.github.io/xforms-spec/#data-types).

import { BUDDHIST, dayInWords, isoDate, monthNames, parts, today } from '../calendar.js';
import { make } from '../elements.js';
import { described, plainDigits } from './text.js';
import { clock, offset } from './time.js';

/** A date or a date with its time. */
export function date(node, tools) {
  const timed = node.valueType === 'dateTime';
  return typedApart(node) ? fields(node, tools, timed) : native(node, tools, timed);
}

/** Several controls stand for one date. */
date.group = typedApart;

function typedApart(node) {
  const looks = node.appearances ?? {};
  return Boolean(looks.buddhist || looks['no-calendar'] || looks['month-year'] || looks.year);
}

function native(node, tools, timed) {
  const control = make('input', {
    ...described(tools),
    type: timed ? 'datetime-local' : 'date',
    class: 'date',
  });
  control.addEventListener('input', () => {
    const value = control.value;
    if (!timed || !value) node.setValue(value || null);
    else node.setValue(`${value.slice(0, 16)}:00.000${offset(new Date(value))}`);
  });
  // Phones show dates in many ways; in words there is no doubt about day, month and era.
  const words = make('p', { class: 'q-hint in-words' });
  return {
    element: make('div', {}, control, words),
    update(state) {
      words.textContent = dayInWords(state.instanceValue, tools.lang());
      const value = state.instanceValue.slice(0, timed ? 16 : 10);
      const kept = control.value.slice(0, timed ? 16 : 10);
      if (value !== kept && (value || document.activeElement !== control)) control.value = value;
      control.readOnly = state.readonly;
    },
    problem: () => (control.validity.badInput ? tools.t('error_date') : null),
  };
}

function fields(node, tools, timed) {
  const looks = node.appearances ?? {};
  const era = looks.buddhist ? BUDDHIST : 0;
  const asks = { month: !looks.year, day: !looks.year && !looks['month-year'] };
  const names = ['day', 'month', 'year'].filter((name) => asks[name] !== false);
  const controls = Object.fromEntries(names.map((name) => [name, part(name, tools, era)]));
  const hour = timed ? make('input', { type: 'time', 'aria-label': tools.t('time'), class: 'time' }) : null;
  const todayButton = make('button', { type: 'button', class: 'second' }, tools.t('today'));
  const row = make('div', { class: 'date-fields', id: tools.controlId, tabindex: '-1' });
  for (const name of names) {
    row.append(
      make(
        'label',
        { class: `part part-${name}` },
        make('span', { class: 'part-name' }, caption(name, tools, era)),
        controls[name],
      ),
    );
  }
  if (hour)
    row.append(make('label', { class: 'part' }, make('span', { class: 'part-name' }, tools.t('time')), hour));
  if (!looks.year && !looks['month-year']) row.append(todayButton);
  let trouble = null;

  const read = () => {
    const typed = {};
    for (const name of names) typed[name] = plainDigits(controls[name].value.trim());
    const empty = names.every((name) => !typed[name]);
    const found = isoDate(empty ? {} : { day: '1', month: '1', ...typed }, era);
    trouble = found.problem ?? (found.iso && timed && !hour.value ? 'error_time' : null);
    const value = trouble || !found.iso ? null : found.iso;
    node.setValue(
      value && timed ? `${value}T${hour.value}:00.000${offset(new Date(`${value}T${hour.value}`))}` : value,
    );
  };
  for (const control of [...Object.values(controls), hour].filter(Boolean))
    control.addEventListener('input', read);
  todayButton.addEventListener('click', () => {
    if (hour) hour.value = clock(new Date());
    write(today());
    read();
  });

  function write(value) {
    const known = parts(value, era);
    for (const name of names)
      if (plainDigits(controls[name].value) !== known[name]) controls[name].value = known[name];
    if (hour && value.length > 10) hour.value = value.slice(11, 16);
  }

  return {
    element: row,
    update(state) {
      // An unfinished date is no answer yet; what was typed stays.
      if (state.instanceValue || !trouble) write(state.instanceValue);
      for (const control of [...Object.values(controls), hour, todayButton].filter(Boolean))
        control.disabled = state.readonly;
    },
    problem: () => trouble && tools.t(trouble),
  };
}

function caption(name, tools, era) {
  return name === 'year' ? tools.t(era ? 'year_be' : 'year_ce') : tools.t(name);
}

function part(name, tools, era) {
  if (name !== 'month') {
    return make('input', {
      type: 'text',
      inputmode: 'numeric',
      autocomplete: 'off',
      maxlength: name === 'year' ? 4 : 2,
      size: name === 'year' ? 4 : 2,
      placeholder: name === 'year' ? String(2021 + era) : null,
    });
  }
  const select = make('select', {}, make('option', { value: '' }, '–'));
  monthNames(tools.lang()).forEach((text, index) =>
    select.append(make('option', { value: index + 1 }, text)),
  );
  return select;
}
