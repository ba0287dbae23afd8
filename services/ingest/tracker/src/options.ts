/** The options: data attributes of the script tag, which docs/tracker.md lists. */

// An element that is named currentScript would take its place: nobody's markup may say where events go.
const current = document.currentScript;
const tag = (
  current?.tagName == "SCRIPT" ? current : document.querySelector("script[data-key]")
) as HTMLScriptElement;

export const option: DOMStringMap = tag.dataset;

/** The one global name, and the prefix of all that is stored. */
export const name = option.name || "tidemark";

export const endpoint = (option.host || new URL(tag.src).origin).replace(/\/$/, "") + "/v1/batch";

export const warn = (problem: string): void => console.warn(name + ": " + problem);

export const on = (target: EventTarget, types: string, listener: (event: any) => void): void =>
  types.split(" ").forEach((type) => target.addEventListener(type, listener, true));
