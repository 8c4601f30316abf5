// An XForm as the engine can show it: texts that it would mix up or leave blank are put right.
//
// - A text without translation (pyxform writes "-") is shown in another language, not as a blank
//   (https://github.com/kobotoolbox/kpi/issues/3480).
// - Guidance hints are translations with form="guidance"; the engine joins them to the hint. They
//   get a mark, by which the page folds them away (`GUIDANCE`).
// - A big image is the address of a picture; the engine would show it as words.
// - What pyxform adds for or_other is English in every language; Thai gets Thai words.

/** Stands between a hint and its guidance. */
export const GUIDANCE = '\u2063';

const NOT_SHOWN = new Set(['big-image', 'short']);

/** https://xlsform.org/en/#specify-other, as pyxform writes it. */
const OTHER = 'Other';
const SPECIFY = 'Specify other.';
const THAI = { [OTHER]: 'อื่น ๆ', [SPECIFY]: 'โปรดระบุ' };

/** The XForm's text, put right. Returns it unchanged where it is no XML: the engine says why. */
export function prepared(text) {
  const doc = new DOMParser().parseFromString(text, 'application/xml');
  const itext = doc.getElementsByTagName('itext')[0];
  if (!itext || doc.getElementsByTagName('parsererror').length) return text;
  const translations = [...itext.children];
  const texts = translations.map((one) => new Map([...one.children].map((each) => [each.id, each])));
  for (const known of texts) {
    for (const element of known.values()) shownForms(element);
  }
  speakThai(doc, translations, texts);
  const first = translations.findIndex((one) => one.hasAttribute('default'));
  const order = [...texts.keys()].sort((a, b) => (b === first) - (a === first));
  const ids = new Set(texts.flatMap((known) => [...known.keys()]));
  for (const id of ids) {
    const told = order.map((index) => texts[index].get(id)).find((element) => element && !blank(element));
    if (!told) continue;
    texts.forEach((known, index) => {
      const element = known.get(id);
      if (element === told || (element && !blank(element))) return;
      const copy = told.cloneNode(true);
      if (element) element.replaceWith(copy);
      else translations[index].append(copy);
    });
  }
  return new XMLSerializer().serializeToString(doc);
}

function speakThai(doc, translations, texts) {
  const thai = translations.findIndex((one) => /\(th\)|ไทย/i.test(one.getAttribute('lang')));
  if (thai < 0) return;
  for (const [id, element] of texts[thai]) {
    if (element.textContent.trim() !== OTHER) continue;
    if (texts.every((known) => known.get(id)?.textContent.trim() === OTHER))
      element.firstElementChild.textContent = THAI[OTHER];
  }
  for (const label of doc.getElementsByTagName('label')) {
    if (label.textContent.trim() === SPECIFY) label.textContent = `${THAI[SPECIFY]} / ${SPECIFY}`;
  }
}

function shownForms(element) {
  for (const value of [...element.children]) {
    const form = value.getAttribute('form');
    if (NOT_SHOWN.has(form) && element.children.length > 1) value.remove();
    if (form === 'guidance') {
      value.removeAttribute('form');
      if (blank(value)) value.remove();
      else value.prepend(`${GUIDANCE}\n\n`);
    }
  }
}

function blank(element) {
  if (element.getElementsByTagName('output').length) return false;
  return ['', '-'].includes(element.textContent.trim());
}
