/** Who the visitor is, and how much may be known of them. */

import { option, warn } from "./options";
import { keep, recall, remember } from "./queue";

export type Id = string | number;

interface Visitor {
  anonymous?: string;
  user?: string;
  account?: string;
}

/** Each allows what those before it allow, and more. */
const LEVELS = ["none", "account", "cookieless", "all"];
export const enum Level {
  None,
  Account,
  Cookieless,
  All,
}

export let level: number = Level.None;
export let who: Visitor = {};
/** Whether this page named the account, rather than one before it. */
let named = false;

export const save = (): void => remember(who);

const rank = (given: string): number => {
  const found = LEVELS.indexOf(given);
  if (found < 0) warn(`level must be one of ${LEVELS}`);
  return found;
};

export const allow = (given: string): void => {
  const { user, account } = who;
  level = Math.max(rank(given), 0);
  keep(level == Level.All);
  who = recall();
  setUser(user);
  who.account = account || who.account;
  save();
};

/** Another user gets another anonymous id, and no account that an earlier page named. */
export const setUser = (id?: Id): void => {
  if (!id) return;
  if (who.user && who.user != id) who = { account: named ? who.account : undefined };
  who.user = "" + id;
  save();
};

export const setAccount = (id?: Id): void => {
  if (!id) return;
  named = true;
  who.account = "" + id;
  save();
};

export const forget = (): void => {
  who = {};
  named = false;
  save();
};

export const start = (): void => {
  const most = option.gpc || "account";
  const given = option.level || "all";
  const signal = navigator.globalPrivacyControl || navigator.doNotTrack == "1";
  // Whoever is still to be asked ("none") keeps what earlier pages stored with consent: it is neither read nor sent until then.
  if (signal || given != "none") allow(given);
  if (signal && rank(most) < level) allow(most);
  setUser(option.user);
  setAccount(option.account);
};
