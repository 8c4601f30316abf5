// Asking the server for what a page needs, and its refusals in the reader's language.

import { changedHands, ofAnother } from './account.js';
import { canKeep, forget } from './keeping.js';
import { baseOf } from './offline.js';
import { lang, t } from './words.js';

const HEADERS = { 'X-OpenRosa-Version': '1.0' };

/**
 * The server's answer. Throws an Error whose cause is `{said: {th, en}}` where the server refuses
 * in words, else `"network"`. Who is not signed in is sent to sign in and comes back.
 */
export async function asked(address, more = {}) {
  const answer = await fetch(address, { headers: HEADERS, credentials: 'same-origin', ...more }).catch((error) => {
    throw new Error(error.message, { cause: 'network' });
  });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  if (answer.status === 401 && baseOf() === '') {
    location.assign(`/signin?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Error(t('sign_in_first'), { cause: { said: { th: t('sign_in_first'), en: t('sign_in_first') } } });
  }
  const words = `${answer.status} ${answer.statusText}`;
  throw new Error(said?.detail ?? words, { cause: said?.th ? { said: { th: said.th, en: said.detail } } : 'network' });
}

/**
 * A config or the list of forms, of who is signed in now. What the phone has kept for somebody else
 * (the network being slow or away) is let go, for its lists may name persons; then only the server's
 * own answer will do.
 */
export async function askedOwn(address) {
  if (canKeep() && changedHands(baseOf())) await forget('/f/');
  const first = await (await asked(address)).json();
  if (!ofAnother(first)) return first;
  if (canKeep()) await forget('/f/');
  return (await asked(address, { cache: 'no-store' })).json();
}

/** Why the phone did not keep something, in words; those of `key` where that is not known. */
export function notKept(error, key) {
  // a full disk fails a change by the first name, and the opening after it by the second
  const known = { QuotaExceededError: 'phone_full', UnknownError: 'phone_full', AlreadySent: 'sent_elsewhere' };
  return t(known[error.name] ?? key, { reason: error.message });
}

/** Words for the reader: the server's own, or those of `key` with the reason. */
export function refusal(error, key) {
  return error.cause?.said ? error.cause.said[lang()] : t(key, { reason: error.message });
}
