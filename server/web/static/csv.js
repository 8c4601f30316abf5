// Lists in CSV files, cut down to what the form asks of them.
//
// The engine computes every column of every row, used or not; a list of courses with eleven columns
// costs five times what its two used ones cost. A column that the form never names is left out.

const ALWAYS = new Set(['name', 'label', 'geometry']);

/** The CSV without the columns whose name does not occur in the form's text. */
export function trimmed(csv, form) {
  const rows = parsed(csv.replace(/^\ufeff/, ''));
  const [names = []] = rows;
  if (names.length < 3 || new Set(names).size !== names.length) return csv;
  const words = new Set(form.match(/[\p{L}_][\p{L}\p{N}\p{M}_.-]*/gu) ?? []);
  const kept = names.flatMap((name, index) => (ALWAYS.has(name) || words.has(name) ? [index] : []));
  if (kept.length === names.length || rows.some((row) => row.length !== names.length)) return csv;
  return rows.map((row) => kept.map((index) => quoted(row[index])).join(',') || '""').join('\n');
}

function quoted(value) {
  return /[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

/** Rows of fields; empty lines are no rows (https://www.rfc-editor.org/rfc/rfc4180). */
function parsed(text) {
  const rows = [];
  let row = [];
  const field = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n|\r|\n|$)/gy;
  for (let found = field.exec(text); found; found = field.exec(text)) {
    const [whole, value, end] = found;
    row.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end !== ',') {
      if (row.length > 1 || row[0] !== '') rows.push(row);
      row = [];
      if (end === '' || field.lastIndex >= text.length) break;
    }
    if (whole === '') break;
  }
  return rows;
}
