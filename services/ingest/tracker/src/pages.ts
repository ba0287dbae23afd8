/** Page views, each once, with the time that was spent on them and how far they were scrolled. */

import { add, address, allowed, here, left, track, type Place, type Properties } from "./events";
import { on, option } from "./options";
import { flush, leave } from "./queue";

const enum Bound {
  /** Without a key, a pointer or a scroll for so long nobody is taken to look. */
  IdleMs = 6e4,
  EngagedMs = 1e3,
}

let shown = "";
let page: Place | undefined;
let timer = 0;
let engaged = 0;
let since = 0;
let depth = 0;
let gone = false;

const visible = (): boolean => document.visibilityState == "visible";

const look = (): void => {
  const now = performance.now();
  if (since) engaged += Math.min(now - since, Bound.IdleMs);
  since = visible() && document.hasFocus() ? now : 0;
};

const scrolled = (): void => {
  look();
  const reached = (scrollY + innerHeight) / document.documentElement.scrollHeight;
  depth = Math.max(depth, Math.min(100, Math.round(reached * 100)));
};

/** Say how the page was used since it was last said. */
const close = (): void => {
  scrolled();
  if (page && engaged >= Bound.EngagedMs) {
    track("Page Left", { path: page.path, engaged_seconds: Math.round(engaged / 1e3), scroll_percent: depth }, page);
    engaged = 0;
  }
};

export const view = (name?: string, properties?: Properties): void => {
  close();
  if (shown) left(shown);
  shown = address();
  page = here();
  engaged = depth = 0;
  add("page", { name, properties: { ...page, ...properties } });
};

/** A page counts once it is seen: not while it is prerendered, or in a tab that nobody looks at. */
const arrive = (): void => {
  if (!("manual" in option) && visible() && allowed() && shown != address()) view();
};

/** Wait until frameworks have redirected and set the title. */
export const route = (): void => {
  clearTimeout(timer);
  timer = setTimeout(arrive, +(option.settle || 300));
};

export const watch = (): void => {
  for (const method of ["pushState", "replaceState"] as const) {
    const original = history[method];
    history[method] = function (...given) {
      original.apply(this, given);
      route();
    };
  }
  on(window, "popstate hashchange", route);
  on(window, "focus blur pointermove keydown", look);
  on(window, "scroll", scrolled);
  on(document, "visibilitychange", () => {
    close();
    // Script that runs in a page that was left would cost it its place in the back/forward cache.
    visible() ? route() : gone || flush();
  });
  on(window, "pagehide", () => {
    arrive();
    close();
    leave();
    gone = true;
  });
  on(window, "pageshow", (event: PageTransitionEvent) => {
    gone = false;
    if (event.persisted) {
      shown = "";
      route();
    }
  });
  route();
};
