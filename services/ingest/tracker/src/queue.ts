/**
 * The queue. Each event is an entry of its own in localStorage, so that tabs never overwrite what another one wrote.
 *
 * An entry leaves the queue once the server has answered for it, or once a beacon took it while the server was well.
 * Whichever tab holds the lock sends what all of them have queued. Two tabs may send the same event all the same: where
 * there are no locks (pages without TLS), and where they are in two processes, as a browser tells the one of what the other
 * deleted some time after it hands over the lock. The event's id is the same, so it counts once.
 */

import { endpoint, name, on, option, warn } from "./options";

type Entries = Record<string, string>;

/** Of these the build leaves the numbers alone. */
const enum Bound {
  /** All requests and beacons of a page that are under way may have 64 KiB together. */
  RequestBytes = 6e4,
  EventBytes = 32e3,
  /** Of localStorage, which the page's own code needs too; browsers give 5 million to all of an origin. */
  QueueChars = 5e5,
  WaitSeconds = 300,
  BackoffMs = 6e4,
  RequestMs = 3e4,
}

/** How long events wait for others to go with them, and the shortest pause before a request is repeated. */
const FLUSH_MS = +(option.flush || 2e3);
const PREFIX = name + ":";
const EVENT = PREFIX + "e";
const WAIT = PREFIX + "wait";
const VISITOR = PREFIX + "visitor";

/** Holds what may not be stored, and what could not be. */
const memory: Entries = {};
let store = memory;
let serial = 1e6;
let timer = 0;
let failures = 0;
let underWay: string[] = [];

// randomUUID is not there on pages without TLS.
export const random = (): string => crypto.getRandomValues(new Uint32Array(4)).join("-");

const tab = random();

const get = (key: string): string => store[key] || memory[key] || "";

const put = (key: string, value: string): void => {
  try {
    store[key] = value;
  } catch {
    memory[key] = value;
  }
};

const drop = (key: string): void => {
  delete store[key];
  delete memory[key];
};

const entries = (prefix: string): string[] =>
  [...new Set([...Object.keys(store), ...Object.keys(memory)])].filter((key) => key.startsWith(prefix)).sort();

const bytes = (text: string): number => new Blob([text]).size;

/** Store from now on, or forget all that was stored. */
export const keep = (stored: boolean): void => {
  store = memory;
  try {
    store = (localStorage as unknown as Entries) || memory;
  } catch {}
  if (!stored) {
    entries(PREFIX).forEach(drop);
    store = memory;
  }
};

export const remember = (visitor: object): void => put(VISITOR, JSON.stringify(visitor));

export const recall = (): any => {
  try {
    return JSON.parse(get(VISITOR));
  } catch {
    return {};
  }
};

export const enqueue = (event: object): void => {
  const id = Date.now() + "-" + serial++ + "-" + tab;
  let room = Bound.QueueChars as number;
  try {
    const text = JSON.stringify({ messageId: id, timestamp: new Date(), ...event });
    if (bytes(text) > Bound.EventBytes) throw "an event over 32 KB";
    put(EVENT + id, text);
    entries(EVENT)
      .reverse()
      .forEach((key) => (room -= get(key).length) < 0 && drop(key));
    soon();
  } catch (problem) {
    // What the page passed is no JSON, or too much. Its own code goes on.
    warn("dropped " + problem);
  }
};

const body = (keys: string[]): string =>
  // The write key comes first: ingest looks for it before it reads anything else.
  `{"writeKey":${JSON.stringify(option.key)},"sentAt":"${new Date().toISOString()}","context":{"library":{"name":"tidemark.js","version":"${VERSION}"}},"batch":[${keys
    .map(get)
    .filter((text) => text)}]}`;

const waiting = (): number => {
  const ms = +get(WAIT) - Date.now();
  // A clock that was set back must not stop everything.
  return ms > 0 && ms < 6e5 ? ms : 0;
};

const soon = (ms = FLUSH_MS): void => {
  timer = timer || setTimeout(flush, ms);
};

/** Send what is queued now, unless the server asked for a pause that is not over. */
export const flush = (): void => {
  clearTimeout(timer);
  timer = 0;
  const ms = waiting();
  if (ms) return soon(ms);
  if (store === memory || !navigator.locks) underWay[0] ? soon() : send();
  else navigator.locks.request(PREFIX, { ifAvailable: true }, (lock) => (lock ? send() : soon()));
};

const send = async (): Promise<void> => {
  let size = 0;
  let pause = 0;
  const keys = entries(EVENT).filter((key) => (size += bytes(get(key)) + 1) < Bound.RequestBytes);
  if (!keys[0]) return;
  underWay = keys;
  try {
    const answer = await fetch(endpoint, {
      method: "POST",
      body: body(keys),
      keepalive: true,
      signal: AbortSignal.timeout?.(Bound.RequestMs),
    });
    const { status, headers } = answer;
    if (status == 408 || status == 429 || status > 499) {
      pause = Math.min(+(headers.get("Retry-After") || headers.get("X-RateLimit-Reset")!), Bound.WaitSeconds) * 1e3;
      throw 0;
    }
    keys.forEach(drop);
    failures = 0;
    const text = await answer.text();
    if (text.includes('"success":false')) warn(text);
  } catch {
    pause = (pause > 0 ? pause : Math.min(Bound.BackoffMs, (FLUSH_MS || 1e3) * 2 ** failures++)) * (1 + Math.random() / 2);
    put(WAIT, "" + (Date.now() + pause));
  }
  underWay = [];
  if (entries(EVENT)[0]) soon(pause);
};

/** The page goes away: give what this tab has queued to beacons. What they do not take stays queued. */
export const leave = (): void => {
  // A beacon shows no answer. What would fail now is sent by the next page, if it can be stored until then.
  if (store !== memory && (waiting() || !navigator.onLine)) return;
  beacon(entries(EVENT).filter((key) => key.includes(tab) && !underWay.includes(key)));
};

const beacon = (keys: string[]): void => {
  if (!keys[0]) return;
  const half = keys.length >> 1;
  if (navigator.sendBeacon(endpoint, body(keys))) keys.forEach(drop);
  else if (half) [keys.slice(0, half), keys.slice(half)].forEach(beacon);
};

on(window, "online", () => {
  drop(WAIT);
  flush();
});
