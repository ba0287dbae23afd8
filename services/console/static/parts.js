// What htmx leaves to its page: what was typed before it listened, answers that do not come, and the order of a list.
"use strict";
(() => {
  const FIRST_WAIT_MS = 1_000;
  const LONGEST_WAIT_MS = 30_000;
  const stale = document.querySelector("[data-stale]");
  const filters = document.getElementById("filters");
  let timer = 0;
  let failures = 0;

  function ask() {
    filters.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // --- answers that do not come: the page stays as it is, and says that it is not up to date ---

  function failed(event) {
    const { target, response } = event.detail.ctx ?? {};
    clearTimeout(timer);
    if (response?.status === 401) {
      document.dispatchEvent(new Event("signed-out"));
      return;
    }
    stale.hidden = false;
    if (!filters || target?.id !== "list") return; // other parts ask again by themselves
    if (response && response.status < 500) {
      filters.submit(); // it will not change: the whole page says what is wrong
      return;
    }
    timer = setTimeout(ask, Math.min(FIRST_WAIT_MS * 2 ** failures, LONGEST_WAIT_MS));
    failures += 1;
  }

  document.addEventListener("htmx:response:error", failed);
  document.addEventListener("htmx:error", failed);
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.response.status >= 400) return; // nothing was swapped
    clearTimeout(timer);
    failures = 0;
    stale.hidden = true;
    document.dispatchEvent(new Event("signed-in"));
  });

  // --- parts that ask anew by themselves: not while nobody looks at the page, or somebody holds them ---

  document.addEventListener("htmx:before:request", (event) => {
    const { sourceEvent, sourceElement } = event.detail.ctx;
    if (sourceEvent?.type !== "every") return;
    if (document.hidden || !sourceElement.isConnected || sourceElement.hasAttribute("data-held")) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-pause]");
    if (!button) return;
    const part = button.closest("[hx-trigger]");
    const isHeld = part.toggleAttribute("data-held");
    if (isHeld) part.dispatchEvent(new CustomEvent("htmx:abort")); // what is on its way would take its place
    button.textContent = isHeld ? button.dataset.goOn : button.dataset.pause;
  });

  if (!filters) return;

  // --- what was typed before htmx listened, or was kept by the browser when it came back to the page ---

  function isChanged(field) {
    if (field.type === "checkbox") return field.checked !== field.defaultChecked;
    if (field.options) return field.value !== (field.querySelector("option[selected]") ?? field.options[0]).value;
    return "defaultValue" in field && field.value !== field.defaultValue;
  }

  addEventListener("pageshow", () => { if ([...filters.elements].some(isChanged)) ask(); });

  // --- the order, which the filters have to know: whichever is asked last counts, and asks for both ---

  document.addEventListener("click", (event) => {
    const head = event.target.closest?.("a[data-sort]");
    if (!head || event.ctrlKey || event.metaKey || event.shiftKey) return;
    filters.elements.sort.value = head.dataset.sort;
    filters.elements.sort.disabled = false;
  }, true);
})();
