// Which widget takes the answer to which question.
//
// `widgetFor(node)` is `{group, class, load()}`: `load()` gives the widget's factory, at once or as
// a promise (what a first page seldom needs is fetched when it is needed). `group` says that the
// answer is several controls, which then stand in a fieldset with the label as its legend:
// "radiogroup", or true for any other set. A factory is
// `(node, tools) -> {element, update(state), problem?(), half?(), resume?(half), destroy?()}`;
// `problem()` is what is unfinished in the entry, in words, or null. What is typed in an unfinished
// entry is kept and typed again by half.js; a widget that holds more gives it itself by `half()`.

import { choices } from './choices.js';
import { date } from './date.js';
import { note } from './note.js';
import { decimal, integer } from './number.js';
import { text } from './text.js';
import { time } from './time.js';
import { trigger } from './trigger.js';

/** From here on a list is searched instead of read. */
const LONG = 40;

const later = (file, name) => () => import(file).then((module) => module[name]);
const now = (factory) => () => factory;

const HEAVY = {
  search: later('./search.js', 'search'),
  scan: later('./scan.js', 'scan'),
  image: later('./image.js', 'image'),
  draw: later('./draw.js', 'draw'),
  file: later('./file.js', 'file'),
  place: later('./place.js', 'place'),
  rank: later('./rank.js', 'rank'),
  range: later('./range.js', 'range'),
  table: later('./table.js', 'table'),
};

const BY_TYPE = {
  int: integer,
  decimal,
  date,
  time,
  dateTime: date,
};

/** The widget of a question; a type nobody knows is typed as text. */
export function widgetFor(node) {
  const looks = node.appearances ?? {};
  switch (node.nodeType) {
    case 'note':
      return { load: now(note) };
    case 'trigger':
      return { load: now(trigger) };
    case 'select':
      return selectWidget(node, looks);
    case 'rank':
      return { group: true, load: HEAVY.rank };
    case 'range':
      return { group: looks.rating ? 'radiogroup' : false, load: HEAVY.range };
    case 'upload':
      return uploadWidget(node, looks);
    default:
      return inputWidget(node);
  }
}

function selectWidget(node, looks) {
  const row = node.selectType === 'select1' && !looks.label;
  if (looks.label || looks['list-nolabel']) return { group: row ? 'radiogroup' : true, class: 'q-table', load: HEAVY.table };
  const many = node.currentState.valueOptions.length > LONG;
  if (looks.minimal || looks.autocomplete || looks.search || (many && !looks.likert)) {
    return { load: HEAVY.search };
  }
  return { group: node.selectType === 'select1' ? 'radiogroup' : true, load: now(choices) };
}

function uploadWidget(node, looks) {
  if (looks.signature || looks.draw || looks.annotate) return { group: true, load: HEAVY.draw };
  return { group: true, load: node.nodeOptions?.media?.type === 'image' ? HEAVY.image : HEAVY.file };
}

function inputWidget(node) {
  if (node.valueType === 'barcode') return { load: HEAVY.scan };
  if (node.valueType.startsWith('geo')) return { group: true, load: HEAVY.place };
  const factory = BY_TYPE[node.valueType];
  return { group: factory === date && date.group(node), load: now(factory ?? text) };
}
