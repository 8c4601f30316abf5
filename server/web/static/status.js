// The counter that is always in sight: how many records wait on this phone, how many were received.

import { make } from './elements.js';
import { baseOf } from './offline.js';
import { begin, subscribe } from './outbox.js';
import { notKept } from './refusal.js';
import './offline_words.js';

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
  });
  begin();
  return () => last && draw();
}
