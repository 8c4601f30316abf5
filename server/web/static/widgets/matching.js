// Finding a word in a list, as people type it: any part of it, in Thai or Latin letters.
//
// Case, tone marks, spaces, accents, and the kind of digits make no difference, nor do the several
// ways in which a keyboard can write the same Thai vowel.

// ฺ ็ ่ ้ ๊ ๋ ์ ๎, accents of Latin letters, what takes no room, and the marks of Markdown
const IGNORED = /[\u0E3A\u0E47-\u0E4C\u0E4E\u0300-\u036F\u00AD\u200B-\u200F\u2060\uFEFF\s*_`]+/g;
const THAI_DIGIT = /[๐-๙]/g;
const SARA_AE = /แ/g; // often typed as two เ

/** A text with everything taken out that does not count in a search. */
export function folded(text) {
  return text
    .normalize('NFKD') // parts ำ into ํ and า, so that a tone mark may stand before or between them
    .toLowerCase()
    .normalize('NFKD') // a lower-case letter may be composed again (İ)
    .replace(IGNORED, '')
    .replace(SARA_AE, 'เเ')
    .replace(THAI_DIGIT, (digit) => String(digit.charCodeAt(0) - 0x0e50));
}

/** The words of a search, folded; a text matches when it contains every one of them. */
export function terms(query) {
  return query.split(/\s+/u).map(folded).filter(Boolean);
}

/**
 * A search over texts: `find(query)` gives the indices of those that contain every word of it, those
 * that begin with it first. The texts are folded at the first search, not before.
 */
export function finder(texts) {
  let known = null;
  return (query) => {
    const wanted = terms(query);
    if (!wanted.length) return texts.map((_, index) => index);
    known ??= texts.map(folded);
    const first = wanted.join('');
    const begins = [];
    const contains = [];
    known.forEach((text, index) => {
      if (!wanted.every((term) => text.includes(term))) return;
      (text.startsWith(first) ? begins : contains).push(index);
    });
    return begins.concat(contains);
  };
}
