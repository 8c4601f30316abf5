// A record that cannot be sent, as a file to keep or to hand over: its XML, with files as a ZIP.

import { zip } from './zip.js';

/** `{name, blob}` of a waiting or refused record. */
export async function exported(record) {
  const id = record.instanceID.replace(/^uuid:/, '').replace(/[^\w-]/g, '_');
  const name = `${record.form.replace(/[^\w-]/g, '_')}-${id}`;
  if (!record.files.length) return { name: `${name}.xml`, blob: record.xml };
  const files = record.files.map((file) => ({ ...file, name: file.name.replace(/[/\\]/g, '_') }));
  return { name: `${name}.zip`, blob: await zip([{ name: 'submission.xml', blob: record.xml }, ...files]) };
}
