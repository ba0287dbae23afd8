/** Clicks on what carries `data-tm-event`, and, if asked for, on every link and button. Never what a form holds. */

import { bare, track } from "./events";
import { on, option } from "./options";
import { Level, level } from "./visitor";

const FIELDS = "input,select,textarea,[contenteditable]";

const declared = (element: Element): void => {
  const given: Record<string, string> = {};
  for (const { name, value } of element.attributes)
    if (name.startsWith("data-tm-")) given[name.slice(8).replace(/-/g, "_")] = value;
  const { event, ...properties } = given;
  track(event!, properties);
};

const captured = (element: HTMLElement): void => {
  const href = bare(element.getAttribute("href") || "");
  const secret = level <= Level.Account || element.isContentEditable || element.querySelector(FIELDS);
  track("Element Clicked", {
    tag: element.localName,
    id: element.id,
    // By characters, since half of one that takes two units, as emoji do, is no text that ingest takes.
    text: secret ? "" : [...element.textContent!.replace(/\s+/g, " ").trim()].slice(0, 80).join(""),
    href: /^(http|[^:]*$)/.test(href) ? href : "", // an address of mail or a telephone is somebody's
  });
};

export const watch = (): void =>
  on(document, "click submit", (event: Event) => {
    const target = event.composedPath()[0] as HTMLElement;
    if (!target.closest || target.closest("[data-tm-ignore]")) return;
    const named = target.closest("[data-tm-event]");
    // A form is meant to be counted when it is submitted, not when somebody clicks into it.
    if (named && (named.localName == "form") == (event.type == "submit")) declared(named);
    else if ("clicks" in option && event.type == "click") {
      const element = target.closest<HTMLElement>("a,button,summary,[role=button],[type=submit]");
      if (element) captured(element);
    }
  });
