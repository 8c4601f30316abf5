// What the parts of the browser form tell one another: in this tab, in other tabs, in the worker.

const NAME = 'watphon';
const here = new Set();
const channel = typeof BroadcastChannel === 'function' ? new BroadcastChannel(NAME) : null;
if (channel) channel.onmessage = ({ data }) => pass(data);

/** Tell everybody: `{type, …}`, plain values only. */
export function tell(event) {
  pass(event);
  channel?.postMessage(event);
}

/** Call `listener(event)` for whatever is told, here or elsewhere; returns how to stop. */
export function hear(listener) {
  here.add(listener);
  return () => here.delete(listener);
}

function pass(event) {
  for (const listener of [...here]) listener(event);
}
