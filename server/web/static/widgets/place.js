// A place, a path or an area: where the phone stands, or numbers typed in. No map is fetched.

import { make } from '../elements.js';
import { locating, mayLocate, metres } from './locating.js';
import { plainDigits } from './text.js';
import './words.js';

/** The fewest points that make one. */
const LEAST = { geotrace: 2, geoshape: 3 };

/** A geopoint, geotrace or geoshape question. */
export function place(node, tools) {
  return node.valueType === 'geopoint' ? point(node, tools) : points(node, tools);
}

/** A position as typed: 18.7883 and 98.9853, Thai digits, or both in the first field; null if none. */
export function typedPlace(first, second) {
  const plain = (text) => plainDigits(text).replace('−', '-').trim();
  let [latitude, longitude] = [plain(first), plain(second)];
  if (!longitude) {
    const both = latitude.split(/\s*[,;]\s*|\s+/);
    if (both.length === 2) [latitude, longitude] = both;
  }
  const number = /^[-+]?\d{1,3}(\.\d+)?$/;
  if (!number.test(latitude) || !number.test(longitude)) return null;
  const found = { latitude: Number(latitude), longitude: Number(longitude), altitude: null, accuracy: null };
  if (Math.abs(found.latitude) > 90 || Math.abs(found.longitude) > 180) return null;
  return found.latitude === 0 && found.longitude === 0 ? null : found; // how the format says "nowhere"
}

/** A position in one line. */
export function spoken({ latitude, longitude, accuracy }, tools) {
  const where = `${round(latitude)}, ${round(longitude)}`;
  return accuracy ? `${where} (${tools.t('place_accuracy', { accuracy: metres(accuracy) })})` : where;
}

/** Seven decimals are a centimetre. */
function round(degrees) {
  return String(Math.round(degrees * 1e7) / 1e7);
}

function fields(tools, entered, buttonWords = null) {
  const field = (name) => {
    const id = `${tools.controlId}-${name}`;
    const input = make('input', { type: 'text', inputmode: 'text', autocomplete: 'off', id, 'aria-describedby': tools.errorId });
    input.addEventListener('input', () => buttonWords || entered());
    input.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || !buttonWords) return;
      event.preventDefault(); // adds the point, instead of leaving the page
      entered();
    });
    return [make('label', { class: 'part', for: id }, make('span', { class: 'part-name' }, tools.t(`place_${name}`)), input), input];
  };
  const [latitudeLabel, latitude] = field('latitude');
  const [longitudeLabel, longitude] = field('longitude');
  const button = buttonWords ? make('button', { type: 'button', class: 'second' }, buttonWords) : '';
  if (button) button.addEventListener('click', entered);
  const row = make('div', { class: 'row place-fields' }, latitudeLabel, longitudeLabel, button);
  const element = make('details', { class: 'place-manual' }, make('summary', {}, tools.t('place_manual')), row);
  return {
    element,
    latitude,
    longitude,
    read: () => typedPlace(latitude.value, longitude.value),
    blank: () => !latitude.value.trim() && !longitude.value.trim(),
    put(found) {
      latitude.value = found ? round(found.latitude) : '';
      longitude.value = found ? round(found.longitude) : '';
    },
  };
}

function notSecure(tools) {
  return make('p', { class: 'q-hint' }, tools.t('place_not_secure'));
}

function point(node, tools) {
  const looks = node.appearances ?? {};
  const live = mayLocate();
  const now = make('p', { class: 'place-answer', hidden: true });
  const clear = make('button', { type: 'button', class: 'plain clear', hidden: true }, tools.t('clear'));
  let wrong = false;

  const manual = fields(tools, () => {
    const found = manual.read();
    wrong = !found && !manual.blank();
    node.setValue(found);
  });
  const finder = live
    ? locating(tools, {
        id: tools.controlId,
        words: () => tools.t(node.currentState.value ? 'place_again' : 'place_find'),
        options: node.nodeOptions,
        found(position) {
          wrong = false;
          node.setValue(position);
          tools.announce(tools.t('place_got', { where: spoken(position, tools) }));
          tools.check?.();
        },
      })
    : null;
  if (!live) manual.latitude.id = tools.controlId;
  if (!live) manual.element.querySelector('label').htmlFor = tools.controlId;
  manual.element.open = !live || Boolean(looks['placement-map']);
  clear.addEventListener('click', () => {
    wrong = false;
    manual.put(null);
    node.setValue(null);
    (finder?.element.querySelector('button') ?? manual.latitude).focus();
  });

  return {
    element: make('div', { class: 'place' }, finder?.element ?? notSecure(tools), now, manual.element, clear),
    update(state) {
      const { value } = state;
      const typing = manual.element.contains(document.activeElement);
      if (!typing && !wrong) manual.put(value);
      now.hidden = !value;
      now.textContent = value ? tools.t('place_got', { where: spoken(value, tools) }) : '';
      for (const input of [manual.latitude, manual.longitude]) input.readOnly = state.readonly;
      finder?.update(state.readonly);
      clear.hidden = state.required || state.readonly || (!value && !wrong);
    },
    problem: () => (wrong ? tools.t('place_wrong') : null),
    destroy: () => finder?.stop(),
  };
}

function points(node, tools) {
  const area = node.valueType === 'geoshape';
  const least = LEAST[node.valueType];
  const live = mayLocate();
  const list = make('ol', { class: 'points' });
  const count = make('p', { class: 'place-answer', role: 'status', hidden: true });
  const clear = make('button', { type: 'button', class: 'plain clear', hidden: true }, tools.t('clear'));
  let held = [];
  let own = '';
  let typedWrong = false;

  const add = (position) => {
    held = [...held, position];
    store();
    tools.announce(tools.t('place_point', { n: held.length, where: spoken(position, tools) }));
  };
  const manual = fields(
    tools,
    () => {
      const found = manual.read();
      typedWrong = !found;
      if (found) {
        manual.put(null);
        add(found);
        manual.latitude.focus();
      } else {
        drawn();
        tools.announce(tools.t('place_wrong'));
      }
    },
    tools.t('place_add_typed'),
  );
  const wrongness = make('p', { class: 'file-told bad', hidden: true }, tools.t('place_wrong'));
  manual.element.append(wrongness);
  const finder = live
    ? locating(tools, { id: tools.controlId, words: () => tools.t('place_add'), options: null, found: add })
    : null;
  manual.element.open = !live;

  /** What the engine takes: enough points, an area closed by its first one again. */
  function store() {
    typedWrong = false;
    node.setValue(trouble() || !held.length ? null : area ? [...held, held[0]] : held);
    own = node.currentState.instanceValue;
    drawn();
  }

  function trouble() {
    if (held.length && held.length < least) return tools.t('place_few', { least, count: held.length });
    if (!area && held.length > 1 && same(held[0], held.at(-1))) return tools.t('place_closed');
    return null;
  }

  function drawn() {
    const { readonly, required } = node.currentState;
    list.replaceChildren(
      ...held.map((position, index) => {
        const remove = make('button', { type: 'button', class: 'second', 'aria-label': tools.t('place_remove', { n: index + 1 }) }, '✕');
        remove.hidden = readonly;
        remove.addEventListener('click', () => {
          held = held.filter((_, at) => at !== index);
          store();
          (list.children[Math.min(index, held.length - 1)]?.querySelector('button') ?? manual.latitude).focus();
        });
        return make('li', {}, make('span', { class: 'point-words' }, spoken(position, tools)), remove);
      }),
    );
    count.hidden = !held.length;
    count.textContent = trouble() ?? tools.t('place_points', { count: held.length });
    clear.hidden = !held.length || required || readonly;
    wrongness.hidden = !typedWrong;
    manual.element.hidden = readonly;
    finder?.update(readonly);
  }

  clear.addEventListener('click', () => {
    held = [];
    store();
    (finder?.element.querySelector('button') ?? manual.latitude).focus();
  });

  return {
    element: make('div', { class: 'place' }, finder?.element ?? notSecure(tools), list, count, manual.element, clear),
    update(state) {
      if (state.instanceValue !== own) {
        own = state.instanceValue;
        const known = state.value ?? [];
        held = area ? known.slice(0, -1) : [...known];
      }
      drawn();
    },
    problem: trouble,
    half() {
      const [latitude, longitude] = [manual.latitude.value, manual.longitude.value];
      return trouble() || latitude || longitude ? { held, latitude, longitude } : null;
    },
    resume(half) {
      manual.latitude.value = half.latitude;
      manual.longitude.value = half.longitude;
      if (half.latitude || half.longitude) manual.element.open = true;
      if (node.currentState.instanceValue) return;
      held = half.held;
      store();
    },
    destroy: () => finder?.stop(),
  };
}

function same(one, other) {
  return one.latitude === other.latitude && one.longitude === other.longitude;
}
