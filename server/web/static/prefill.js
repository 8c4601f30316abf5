// Answers that come with the address: ?participant_id=…&course_code=… or ?d[/data/x]=…
//
// A calculated question cannot be written to; the server may say which questions to answer instead
// (`config.prefill`: {"participant_id": [["pid_mode", "type"], ["pid_type", "$value"]]}).

import { leaves } from './engine.js';
import { readDecimal, readInteger } from './widgets/number.js';

const OURS = new Set(['draft', 'edit', 'lang', 'key', 'new']);

/** The pairs of name and value in an address's query that are meant for the form. */
export function asked(query) {
  return [...new URLSearchParams(query)]
    .filter(([name]) => !OURS.has(name))
    .map(([name, value]) => [questionOf(name), value]);
}

/** The question that a name in the query stands for: `d[/data/x]` for /data/x, or itself. */
export function questionOf(name) {
  return /^d\[(.+)\]$/.exec(name)?.[1] ?? name;
}

/**
 * Answer the questions that the pairs name; the names whose value was not accepted. A name that
 * the form does not have is passed over: addresses carry other things too.
 */
export function prefill(root, pairs, rules = {}) {
  const refused = [];
  for (const [name, value] of pairs) {
    const last = name.split('/').pop();
    const steps = rules?.[last];
    const done = steps
      ? steps.map(([target, what]) => put(root, target, what.replaceAll('$value', value)))
      : [put(root, name, value)];
    if (done.includes(false)) refused.push(last);
  }
  return refused;
}

/** True when answered, false when the value was not accepted, null when there is no such question. */
function put(root, name, value) {
  const node = leaves(root).find((one) => matches(one.currentState.reference, name));
  if (!node) return null;
  const before = node.currentState.instanceValue;
  try {
    write(node, value);
  } catch {
    return false;
  }
  const state = node.currentState;
  const taken = state.instanceValue !== '' && node.validationState?.violation?.condition !== 'constraint';
  if (!taken && typeof node.setValue === 'function') write(node, before);
  return taken;
}

function matches(reference, name) {
  return name.startsWith('/') ? reference === name : reference.split('/').pop() === name;
}

function write(node, value) {
  if (node.nodeType === 'select')
    node.selectValues(node.selectType === 'select1' ? [value] : value.split(/\s+/));
  else if (node.nodeType === 'input' || node.nodeType === 'range')
    node.setValue(typed(node.valueType, value));
  else if (node.nodeType === 'trigger') node.setValue(/^ok$/i.test(value));
}

function typed(type, value) {
  if (value === '') return type === 'string' || type === 'barcode' ? '' : null;
  if (type === 'int') return sound(readInteger(value));
  if (type === 'decimal') return sound(readDecimal(value));
  if (type === 'geopoint') {
    const parts = value.trim().split(/[\s,]+/).map((part) => sound(readDecimal(part)));
    const [latitude, longitude, altitude = null, accuracy = null] = parts;
    if (parts.length < 2 || Math.abs(latitude) > 90 || Math.abs(longitude) > 180) throw new Error('no such place');
    return { latitude, longitude, altitude, accuracy };
  }
  return value;
}

function sound({ value, problem }) {
  if (problem) throw new Error(problem);
  return value;
}
