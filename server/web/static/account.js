// Whose a draft or record is, where several people sign in on one phone.

/** The account that fills in a form: its name; null behind a key, where the key says who sends. */
export function accountOf({ base, user }) {
  return base === '' ? (user?.username ?? null) : null;
}

/** Whether a draft or record may be shown to `account`; what was kept without a name is anybody's. */
export function belongs(one, account) {
  return !one.account || one.account === account;
}
