// Where the phone is, getting better while one waits.

import { make } from '../elements.js';

/** Accuracies in metres, as ODK Collect takes them where the form says nothing. */
const GOOD = 5;
const POOR = 100;
const LONG = 120_000; // ms, then the best so far stands

/** Whether a page may ask at all; only one that came by https may. */
export function mayLocate() {
  return Boolean(globalThis.isSecureContext && navigator.geolocation);
}

/**
 * The part of a place question that finds the position: `{element, stop()}`. `found(point)` is
 * called with `{latitude, longitude, altitude, accuracy}` once it is good enough or the person
 * takes it as it is.
 */
export function locating(tools, { words, options, found, id }) {
  const good = options?.accuracyThreshold ?? GOOD;
  const poor = options?.unacceptableAccuracyThreshold ?? POOR;
  const find = make('button', { type: 'button', class: 'wide', id }, words());
  const use = make('button', { type: 'button' }, tools.t('place_use'));
  const halt = make('button', { type: 'button', class: 'second' }, tools.t('place_stop'));
  const now = make('p', { class: 'place-now', role: 'status' });
  const rough = make('p', { class: 'notice', hidden: true }, tools.t('place_rough', { limit: poor }));
  const going = make('div', { class: 'place-going', hidden: true }, now, rough, make('div', { class: 'row' }, use, halt));
  const told = make('p', { class: 'file-told bad', role: 'status', hidden: true });
  let watching = null;
  let ending = null;
  let best = null;

  const say = (text) => {
    told.textContent = text ?? '';
    told.hidden = !text;
  };

  function stop() {
    if (watching !== null) navigator.geolocation.clearWatch(watching);
    clearTimeout(ending);
    watching = null;
    going.hidden = true;
    find.hidden = false;
    find.textContent = words();
  }

  function take() {
    const point = best;
    stop();
    if (!point) {
      say(tools.t('place_failed'));
      return;
    }
    found(point);
    find.focus({ preventScroll: true });
  }

  function better({ coords }) {
    const { latitude, longitude, altitude, accuracy } = coords;
    if (!best || accuracy <= best.accuracy) best = { latitude, longitude, altitude, accuracy };
    now.textContent = tools.t('place_now', { accuracy: metres(best.accuracy) });
    use.hidden = false;
    rough.hidden = best.accuracy <= poor;
    if (best.accuracy <= good) take();
  }

  function worse(error) {
    if (error.code === error.PERMISSION_DENIED) {
      stop();
      say(tools.t('place_refused'));
    } else if (error.code === error.POSITION_UNAVAILABLE && !best) {
      stop();
      say(tools.t('place_failed'));
    }
  }

  find.addEventListener('click', () => {
    say(null);
    best = null;
    now.textContent = tools.t('place_looking');
    use.hidden = true;
    rough.hidden = true;
    going.hidden = false;
    find.hidden = true;
    halt.focus({ preventScroll: true });
    watching = navigator.geolocation.watchPosition(better, worse, { enableHighAccuracy: true, maximumAge: 0, timeout: LONG });
    ending = setTimeout(take, LONG);
  });
  use.addEventListener('click', take);
  halt.addEventListener('click', () => {
    stop();
    find.focus({ preventScroll: true });
  });

  return {
    element: make('div', { class: 'locating' }, find, going, told),
    stop,
    update: (readonly) => {
      find.disabled = readonly;
      find.textContent = words();
    },
  };
}

/** Metres for people: 4.7, 12, 250. */
export function metres(number) {
  return number < 10 ? String(Math.round(number * 10) / 10) : String(Math.round(number));
}
