// The draft that is kept while a form is being filled: after each change, and when the page goes.

/** A tap is kept at once (ms): the tab may die the next moment. */
const SOON = 50;
/** While somebody types, saves rest so long between. */
const REST = 120;

/**
 * Keep drafts of `session`. `describe()` gives what else a draft says of itself; `told(error)` is
 * called after each save, with null when it went well; `waiting()` when an answer is not kept
 * yet; `commit()` before the page goes, for what is still being typed. Returns `{changed(moved), now(), settled(), stop()}`.
 */
export function keepDrafts({ drafts, session, describe, told, waiting, commit, touched = false }) {
  let timer = null;
  let dirty = false;
  let begun = touched;
  let stopped = false;
  let ended = 0;
  let saving = false;
  let running = Promise.resolve();

  const now = () => {
    clearTimeout(timer);
    timer = null;
    if (stopped || !dirty) return running;
    dirty = false;
    running = running.then(save);
    return running;
  };

  async function save() {
    saving = true;
    try {
      const made = await session.payload();
      if (stopped) return;
      await drafts.save({
        ...describe(),
        id: made.instanceID,
        name: made.name,
        data: { xml: made.xml, files: made.files },
        updatedAt: Date.now(),
      });
      if (!dirty) told(null);
    } catch (error) {
      told(error);
    } finally {
      saving = false;
      ended = Date.now();
    }
  }

  /** The page goes, perhaps for ever: nothing that is awaited is sure to happen any more. */
  const going = () => {
    if (stopped) return;
    commit();
    if (dirty || saving) drafts.last({ ...describe(), ...session.words(), updatedAt: Date.now() });
    now();
  };
  const leaving = () => {
    if (document.visibilityState === 'hidden') going();
  };
  document.addEventListener('visibilitychange', leaving);
  window.addEventListener('pagehide', going);

  return {
    /** Something was answered; `moved`: only the page changed, which alone makes no draft. */
    changed(moved = false) {
      if (!moved) begun = true;
      if (!begun) return;
      dirty = true;
      if (!moved) waiting();
      timer ??= setTimeout(now, Math.max(SOON, ended + REST - Date.now()));
    },
    now,
    /** What was to be saved is not saved any more; resolves when a save under way has ended. */
    settled() {
      clearTimeout(timer);
      timer = null;
      dirty = false;
      return running;
    },
    /** Keep no more; resolves when a save under way has ended. */
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', leaving);
      window.removeEventListener('pagehide', going);
      return running;
    },
  };
}
