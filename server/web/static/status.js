// The counter that is always in sight: how many records wait on this phone, how many were received;
// and sending whenever there is a chance, for as long as the page is open.

import { me } from './account.js';
import { make } from './elements.js';
import { baseOf } from './offline.js';
import { flush, SOMETIMES, subscribe } from './outbox.js';
import { notKept } from './refusal.js';
import { changeRecord, openStore } from './store.js';
import './offline_words.js';

const AGAIN = new Set([401, 403]); // the key may live again, or the person sign in again

/**
 * Show the counter in `element` and keep sending from now on. `tools` are `{t, lang, announce}`.
 * Returns how to draw it anew in another language.
 */
export function mountStatus(element, { t, announce }) {
  let last = null;
  const link = make('a', { class: 'counter', href: `${baseOf()}/f/` });
  element.replaceChildren(link);
  const draw = () => {
    const { waiting, attention, received, sending, trouble, error } = last;
    link.classList.toggle('is-waiting', waiting > 0);
    link.classList.toggle('is-attention', attention > 0);
    const words = [t('count_waiting', { n: waiting }), t('count_received', { n: received })];
    if (attention) words.unshift(t('count_attention', { n: attention }));
    if (sending) words.push(t('count_sending'));
    if (trouble) words.push(notKept(trouble, 'nothing_kept'));
    link.textContent = error ? notKept(error, 'nothing_kept') : words.join(' · ');
  };
  subscribe((counts) => {
    const before = last;
    last = counts;
    draw();
    if (before && counts.attention > before.attention) announce?.(t('count_attention', { n: counts.attention }));
  }, () => me(baseOf()));
  begin();
  return () => last && draw();
}

// --- keeping at it ---------------------------------------------------------------------------

/** Records that were refused for a key or a sign-in wait again: it may have changed since. */
async function reconsider() {
  const { outbox } = await openStore();
  for (const one of await outbox.list()) {
    if (one.state === 'attention' && AGAIN.has(one.status)) {
      await changeRecord(one.instanceID, () => ({ state: 'waiting', nextAt: 0, asked: false }));
    }
  }
}

let begun = false;

/** From now on send whenever there is a chance: now, when the network or the tab comes back, and
 *  when it is time. Call once in a page. */
function begin() {
  if (begun) return;
  begun = true;
  let timer = null;
  const now = (all) => flush({ all }).catch((error) => console.error(error));
  window.addEventListener('online', () => now(true));
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') now(true);
  });
  subscribe(({ nextAt }) => {
    clearTimeout(timer);
    // no longer than that: a clock may be set, and a timer of weeks ends at once
    if (nextAt !== null) timer = setTimeout(() => now(false), Math.min(Math.max(nextAt - Date.now(), 250), SOMETIMES));
  });
  setInterval(() => now(false), SOMETIMES);
  reconsider()
    .catch(() => {})
    .then(() => now(true));
}
