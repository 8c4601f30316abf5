// A list of thousands of rows, of which only those in sight are in the document.

import { make } from '../elements.js';

const NEAR = 8; // rows kept above and below what is in sight
const FEW = 60; // so many may all be drawn, each as high as it needs

/**
 * Rows inside `scroller`. `row(at)` draws the row at a place; `texts` are the words of every row
 * there may be and `sample(index)` draws one of these for measuring: all rows get the height that
 * the tallest needs. Returns `{list, show(count), reach(at), stop()}`; `show` begins anew with so
 * many rows, `reach` brings a row into sight and gives its element.
 */
export function longList(scroller, row, texts, sample) {
  const list = make('ul', { class: 'long-list' });
  scroller.replaceChildren(list);
  const drawnRows = new Map();
  let count = 0;
  let height = 0;
  let width = 0;

  function fit() {
    width = scroller.clientWidth;
    const longest = texts.map((_, index) => index).sort((a, b) => texts[b].length - texts[a].length).slice(0, 6);
    list.classList.add('uniform');
    list.style.setProperty('--row', 'auto');
    list.replaceChildren(...longest.map(sample));
    height = Math.max(...[...list.children].map((one) => one.offsetHeight), 1);
    list.style.setProperty('--row', `${height}px`);
    drawnRows.clear();
    list.replaceChildren();
  }

  function place() {
    const all = count <= FEW && texts.length <= FEW;
    const top = scroller.scrollTop;
    const from = all ? 0 : Math.max(0, Math.floor(top / height) - NEAR);
    const to = all ? count : Math.min(count, Math.ceil((top + scroller.clientHeight) / height) + NEAR);
    for (const [index, element] of drawnRows) {
      if (index >= from && index < to) continue;
      element.remove();
      drawnRows.delete(index);
    }
    let before = null;
    for (let index = from; index < to; index += 1) {
      let element = drawnRows.get(index);
      if (!element) {
        element = row(index);
        drawnRows.set(index, element);
      }
      const after = before ? before.nextSibling : list.firstChild;
      if (element !== after) list.insertBefore(element, after);
      before = element;
    }
    if (all) return;
    list.style.setProperty('--above', `${from * height}px`);
    list.style.setProperty('--whole', `${count * height}px`);
  }

  function redraw() {
    drawnRows.clear();
    list.replaceChildren();
    place();
  }

  const until = new AbortController();
  scroller.addEventListener('scroll', place, { passive: true, signal: until.signal });
  const sizes = new ResizeObserver(() => {
    if (!height || !scroller.clientWidth) return;
    if (scroller.clientWidth !== width) {
      fit();
      redraw();
    } else {
      place();
    }
  });
  sizes.observe(scroller);

  return {
    list,
    show(wanted) {
      count = wanted;
      if (!height && texts.length > FEW) fit();
      scroller.scrollTop = 0;
      redraw();
    },
    reach(index) {
      const drawnRow = drawnRows.get(index);
      const top = height ? index * height : (drawnRow?.offsetTop ?? 0);
      const end = height ? top + height : top + (drawnRow?.offsetHeight ?? 0);
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (end > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = end - scroller.clientHeight;
      place();
      return drawnRows.get(index);
    },
    stop() {
      until.abort();
      sizes.disconnect();
    },
  };
}
