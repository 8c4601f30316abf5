// Days as people here say them (Buddhist Era) and as forms keep them (ISO, Gregorian).

export const BUDDHIST = 543;

const EARLIEST = 1800;
const LATEST = 2300;

/**
 * The ISO date of a day, month and year typed in an era (`era` years ahead of the Gregorian), as
 * `{iso}`; `{problem}` with the key of its words where there is no such day; `{}` where all is empty.
 */
export function isoDate({ day, month, year }, era = 0) {
  if (!day && !month && !year) return {};
  if (!day || !month || !year) return { problem: 'error_date' };
  if (!/^\d{1,4}$/.test(year) || !/^\d{1,2}$/.test(day) || !/^\d{1,2}$/.test(month))
    return { problem: 'error_date' };
  const christian = Number(year) - era;
  if (christian < EARLIEST || christian > LATEST) return { problem: era ? 'error_year' : 'error_year_ce' };
  const date = new Date(Date.UTC(2000, Number(month) - 1, Number(day)));
  date.setUTCFullYear(christian, Number(month) - 1, Number(day));
  if (date.getUTCDate() !== Number(day) || date.getUTCMonth() !== Number(month) - 1)
    return { problem: 'error_date' };
  return { iso: date.toISOString().slice(0, 10) };
}

/** An ISO date's day, month and year in an era, as strings without leading zeros. */
export function parts(iso, era = 0) {
  const found = /^(\d{4})-(\d{2})-(\d{2})/.exec(iso);
  if (!found) return { day: '', month: '', year: '' };
  return { day: String(+found[3]), month: String(+found[2]), year: String(+found[1] + era) };
}

/** The months' names, January first. */
export function monthNames(lang) {
  const format = new Intl.DateTimeFormat(lang === 'th' ? 'th-TH' : 'en-GB', {
    month: 'long',
    timeZone: 'UTC',
  });
  return Array.from({ length: 12 }, (_, month) => format.format(Date.UTC(2021, month, 1)));
}

/** Today where the phone is, as ISO. */
export function today(when = new Date()) {
  const two = (number) => String(number).padStart(2, '0');
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}

/** An ISO date in words: 11 มีนาคม พ.ศ. 2564, 11 March 2021; "" for none. */
export function dayInWords(iso, lang) {
  const { day, month, year } = parts(iso, lang === 'th' ? BUDDHIST : 0);
  if (!day) return '';
  return `${day} ${monthNames(lang)[month - 1]} ${lang === 'th' ? 'พ.ศ. ' : ''}${year}`;
}
