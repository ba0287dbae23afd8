/** The page tracker: docs/tracker.md says what it sends, when, and what it may know of a visitor. */

import { watch as watchClicks } from "./clicks";
import { add, track, type Properties } from "./events";
import { name, option, warn } from "./options";
import { route, view, watch as watchPages } from "./pages";
import { Level, allow, forget, level, setAccount, setUser, start, who, type Id } from "./visitor";

const api = {
  track,
  page: view,
  identify(userId?: Id, traits?: Properties): void {
    setUser(userId);
    if (level > Level.Account) add("identify", { traits });
  },
  group(groupId?: Id, traits?: Properties): void {
    setAccount(groupId);
    add("group", { groupId: who.account, traits });
    route();
  },
  reset: forget,
  consent(given: string): void {
    allow(given);
    route();
  },
  push([method, ...given]: [string, ...unknown[]]): void {
    (api as any)[method](...given);
  },
};

const scope = window as any;
const early = scope[name];
if (!option.key) warn("the script tag needs data-key");
else if (!early || !early.track) {
  scope[name] = api;
  start();
  watchPages();
  watchClicks();
  for (const call of early || []) api.push(call);
}
