// How large a file is, in words, and how large one may be.

/** A file's size as people read it: 85 KB, 1.4 MB. */
export function sized(bytes) {
  if (bytes < 1_000_000) return `${Math.max(1, Math.round(bytes / 1000))} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** The most a single file may have: what the server takes, less the answers that go with it. */
export function most(config) {
  return config?.accepts ? Math.max(0, config.accepts - 100_000) : Infinity;
}
