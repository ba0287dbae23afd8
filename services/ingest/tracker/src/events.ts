/** Make events and queue them. */

import { option } from "./options";
import { enqueue, random } from "./queue";
import { Level, level, save, who } from "./visitor";

export type Properties = Record<string, unknown>;

export interface Place {
  path: string;
  url?: string;
  title?: string;
  referrer?: string;
}

let cameFrom = document.referrer;

/** The address without its query, which may hold secrets, but for the parameters that the page names. */
const search = (): string => {
  const given = new URLSearchParams(location.search);
  const kept = new URLSearchParams();
  for (const key of (option.query || "").split(",")) if (given.has(key)) kept.set(key, given.get(key)!);
  return "" + kept && "?" + kept;
};

export const bare = (url: string): string => url.split(/[?#]/)[0]!;

export const address = (): string => location.origin + location.pathname + search() + hash();

const hash = (): string => ("hash" in option ? location.hash : "");

export const here = (): Place => ({
  path: location.pathname + hash(),
  ...(level > Level.Account && { url: address(), title: document.title, referrer: bare(cameFrom) }),
});

export const left = (url: string): void => {
  cameFrom = url;
};

/** Whether an event of now would be sent: who only lets the account be known has to name it. */
export const allowed = (): unknown => level > Level.Account || (level && who.account);

export const add = (type: string, more: Properties, page: Place = here()): void => {
  if (!allowed()) return;
  const known = level > Level.Account;
  if (known && !who.anonymous) {
    who.anonymous = random();
    save();
  }
  enqueue({ type, ...(known && { anonymousId: who.anonymous, userId: who.user }), context: { groupId: who.account, page }, ...more });
};

export const track = (event: string, properties?: Properties, page?: Place): void =>
  add("track", { event, properties }, page);
