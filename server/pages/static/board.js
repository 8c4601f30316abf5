// The board keeps itself up to date: every five seconds, only while somebody looks, and less often
// while the server does not answer. What has not changed on the page is not touched.
const EVERY = 5_000;
const LONGEST = 60_000;

const live = document.getElementById('live');
const checked = document.getElementById('checked');
const told = document.getElementById('told');
let tag = live.dataset.tag;
let wait = EVERY;
let timer = 0;
let asking = false;
let lastSeen = new Date();

function clock(moment) {
  return moment.toLocaleTimeString(document.documentElement.lang, { hour12: false });
}

function say(words, late) {
  checked.textContent = words.replace('{time}', clock(lastSeen));
  checked.classList.toggle('late', late);
}

/** What each part looked like when it came: scripts and people change it afterwards. */
const source = new WeakMap();

function partsOf(page) {
  return [...page.querySelectorAll(':scope > [data-part]')];
}

function remember(page) {
  for (const part of partsOf(page)) source.set(part, part.outerHTML);
}

/** The parts of the fresh page that differ take the place of the old ones; what was opened or closed
    stays so, and so does the focus. */
function renew(html) {
  const fresh = new DOMParser().parseFromString(html, 'text/html').body;
  remember(fresh);
  for (const details of fresh.querySelectorAll('details[id]')) {
    const known = document.getElementById(details.id);
    if (known?.dataset.touched) {
      details.open = known.open;
      details.dataset.touched = '1';
    }
  }
  const focused = document.activeElement;
  const place = live.contains(focused) ? pathOf(focused) : '';
  const old = new Map(partsOf(live).map(part => [part.dataset.part, part]));
  const parts = partsOf(fresh).map(part => {
    const known = old.get(part.dataset.part);
    return known && source.get(known) === source.get(part) ? known : part;
  });
  // a part that stays where it is is not moved: moving loses focus and scrolling
  parts.forEach((part, at) => {
    if (live.children[at] !== part) live.insertBefore(part, live.children[at] ?? null);
  });
  while (live.children.length > parts.length) live.lastElementChild.remove();
  enable();
  if (place && !document.contains(focused)) document.querySelector(place)?.focus({ preventScroll: true });
}

/** A selector that finds the same thing again in a fresh page. */
function pathOf(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const href = element.getAttribute('href');
  if (href) return `#live a[href="${CSS.escape(href)}"]`;
  const box = element.closest('details[id]');
  return box ? `#${CSS.escape(box.id)} > summary` : '';
}

async function look() {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  asking = true;
  try {
    const answer = await fetch(live.dataset.address, {
      headers: { 'If-None-Match': tag },
      cache: 'no-store',
      redirect: 'manual',
      signal: AbortSignal.timeout(20_000),
    });
    if (answer.type === 'opaqueredirect' || answer.status === 401 || answer.status === 403) {
      say(checked.dataset.out, true);
      return;
    }
    if (answer.status === 200) {
      renew(await answer.text());
      tag = answer.headers.get('ETag') ?? '';
    } else if (answer.status !== 304) {
      throw new Error(`status ${answer.status}`);
    }
    lastSeen = new Date();
    wait = EVERY;
    say(checked.dataset.ok, false);
  } catch {
    wait = Math.min(LONGEST, wait * 2);
    say(checked.dataset.late, true);
  } finally {
    asking = false;
  }
  timer = setTimeout(look, wait);
}

function copied(text, box) {
  if (navigator.clipboard && window.isSecureContext) {
    return navigator.clipboard.writeText(text).then(() => true, () => byHand(box));
  }
  return Promise.resolve(byHand(box));
}

/** On a page without HTTPS the browser has no clipboard for scripts: select, and let it copy. */
function byHand(box) {
  box.closest('details').open = true;
  box.focus();
  box.select();
  return document.execCommand('copy');
}

let cleared = 0;
function tell(words, button) {
  told.textContent = words;
  if (!button.dataset.words) button.dataset.words = button.textContent;
  button.textContent = words;
  clearTimeout(cleared);
  cleared = setTimeout(() => {
    told.textContent = '';
    for (const one of live.querySelectorAll('[data-words]')) {
      one.textContent = one.dataset.words;
      delete one.dataset.words;
    }
  }, 3_000);
}

function enable() {
  for (const button of live.querySelectorAll('[data-copy]')) button.hidden = false;
  for (const button of live.querySelectorAll('[data-share]')) button.hidden = !navigator.share;
}

live.addEventListener('click', async event => {
  const button = event.target.closest?.('[data-copy], [data-share]');
  if (!button) return;
  const box = document.getElementById(button.dataset.copy ?? button.dataset.share);
  if (button.dataset.share) {
    // whoever closes the list of apps again has not failed
    await navigator.share({ text: box.value }).catch(() => {});
    return;
  }
  const done = await copied(box.value, box);
  tell(done ? told.dataset.copied : told.dataset.select, button);
});

// only what a person opened or closed is kept; the rest follows the numbers
live.addEventListener('click', event => {
  const box = event.target.closest?.('summary')?.parentElement;
  if (box?.id) box.dataset.touched = '1';
});

document.addEventListener('visibilitychange', () => {
  wait = EVERY;
  if (!document.hidden) look();
});
window.addEventListener('online', look);
remember(live);
enable();
timer = setTimeout(look, EVERY);
