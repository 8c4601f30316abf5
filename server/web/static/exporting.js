// A record that cannot be sent, as a file to keep or to hand over: its XML, with files as a ZIP.

import { make } from './elements.js';
import { zip } from './zip.js';

/** Hand a file to the browser to keep. */
export function download({ name, blob }) {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** `{name, blob}` of a waiting or refused record. */
export async function exported(record) {
  const id = record.instanceID.replace(/^uuid:/, '').replace(/[^\w-]/g, '_');
  const name = `${record.form.replace(/[^\w-]/g, '_')}-${id}`;
  const parts = listed(record);
  (record.before ?? []).forEach(({ data }, at) => parts.push(...listed(data, `before-${at + 1}-`)));
  if (parts.length === 1) return { name: `${name}.xml`, blob: record.xml };
  return { name: `${name}.zip`, blob: await zip(parts) };
}

function listed({ xml, files }, first = '') {
  const safe = files.map((file) => ({ ...file, name: first + file.name.replace(/[/\\]/g, '_') }));
  return [{ name: `${first}submission.xml`, blob: xml }, ...safe];
}
