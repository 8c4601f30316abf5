// Whose a draft or record is, where several people sign in on one phone, and who is here now.

import { tell } from './signals.js';

const NAME = 'watphon:me';
let here = null;

/** The account that fills in a form: its name; null behind a key, where the key says who sends. */
export function accountOf({ base, user }) {
  return base === '' ? (user?.username ?? null) : null;
}

/** Whether a draft or record may be shown to `account`; what was kept without a name is anybody's. */
export function belongs(one, account) {
  return !one.account || one.account === account;
}

/** The mark of who is signed in in this browser, "-" for nobody; null where it was never told. */
export function whoHere() {
  return /(?:^|; )(?:__Host-)?watphon-who=([^;]*)/.exec(document.cookie)?.[1] ?? null;
}

/** Whether a config or list (`{base, who}`) was kept for somebody who is not here any more. */
export function ofAnother({ base, who }) {
  return base === '' && whoHere() !== null && who !== whoHere();
}

/** Whether somebody else has signed in (or this one out) since a page last knew who was here. */
export function changedHands(base) {
  return base === '' && noted() !== null && noted()[0] !== whoHere();
}

/** Note who is here, so that the next page knows it before it has asked anybody. */
export function iAm(account) {
  if (!account) return;
  here = account;
  try {
    localStorage.setItem(NAME, JSON.stringify([whoHere(), account]));
  } catch {
    // Nothing can be kept: the next page learns it a moment later.
  }
  tell({ type: 'changed' }); // what may be counted has changed
}

/** Who is here at the addresses below `base`: an account; null behind a key or where nobody knows. */
export function me(base) {
  if (base !== '') return null;
  return here ?? (noted()?.[0] === whoHere() ? noted()[1] : null);
}

/** What the last page noted: `[mark, account]`, or null. */
function noted() {
  try {
    return JSON.parse(localStorage.getItem(NAME));
  } catch {
    return null;
  }
}

/** A page that is looked at again after somebody else has signed in is opened anew, as theirs. */
export function watchOwner(base) {
  if (base !== '') return;
  const before = whoHere();
  const look = () => document.visibilityState === 'visible' && whoHere() !== before && location.reload();
  document.addEventListener('visibilitychange', look);
  window.addEventListener('pageshow', look);
}
