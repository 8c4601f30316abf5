// What a browser tab and a phone remember besides the store: which draft is open, the phone's id.

import './random.js';

/** This phone's id for the form's `deviceid`: random, the same for as long as the browser keeps it. */
export function deviceID() {
  const made = `watphon:${crypto.randomUUID()}`;
  try {
    const known = localStorage.getItem('watphon:device');
    if (known) return known;
    localStorage.setItem('watphon:device', made);
  } catch {
    // Nothing can be kept: the id lasts as long as the page.
  }
  return made;
}

/**
 * The draft that this tab had open at this address, so that a reload goes on with it; another
 * address of the same form (`?participant_id=…`) is about somebody else.
 */
export const openDraft = {
  get: (form) => kept(() => sessionStorage.getItem(opened(form))),
  set: (form, id) => kept(() => sessionStorage.setItem(opened(form), id)),
  clear: (form) => kept(() => sessionStorage.removeItem(opened(form))),
};

function opened(form) {
  return `watphon:open:${form}${location.search}`;
}

/** Whether everything is shown on one page. */
export const onePage = {
  get: () => kept(() => localStorage.getItem('watphon:one-page')) === '1',
  set: (on) => kept(() => localStorage.setItem('watphon:one-page', on ? '1' : '0')),
};

function kept(act) {
  try {
    return act();
  } catch {
    return null;
  }
}
