// What markup alone cannot do: times in the reader's zone, and the keyboard. Every page can be read without it.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  const clock = new Intl.DateTimeFormat(root.lang, { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
  const past = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "short" });
  const seconds = new Intl.DateTimeFormat(root.lang, { hour: "numeric", minute: "2-digit", second: "2-digit" });
  const whole = new Intl.DateTimeFormat(root.lang, { dateStyle: "full", timeStyle: "long" });

  function localTimes(within) {
    for (const time of within.querySelectorAll("time[data-local]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const years = at.getFullYear() === new Date().getFullYear() ? clock : past;
      time.textContent = (time.dataset.local === "seconds" ? seconds : years).format(at);
      time.title = whole.format(at);
    }
  }

  // --- keyboard ---

  const GO = { t: "/", p: "/portfolio", i: "/ingest", w: "/waiting", r: "/right" };
  let going = 0;

  function rows() {
    return [...document.querySelectorAll("[data-rows] tbody tr, [data-rows] > li")];
  }

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.contains(document.activeElement));
    const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
    next.querySelector("a")?.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function search() {
    const field = document.querySelector("[data-search-here]") ?? document.querySelector("[data-search]");
    field?.focus();
    field?.select();
  }

  const AMONG_WEEKS = {
    ArrowLeft: (place) => place - 1,
    ArrowRight: (place) => place + 1,
    Home: () => 0,
    End: (_, last) => last,
  };

  const KEYS = {
    "/": search,
    j: () => move(1),
    k: () => move(-1),
    "?": () => document.getElementById("keys")?.showModal(),
    g: () => { going = Date.now(); },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (event.key === "Escape") {
      if (event.target.matches?.("input")) event.target.blur();
      for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
      return;
    }
    if (event.key === "Enter" && event.target.matches?.("[data-search-here]") && event.target.value.trim()) {
      // The list may not have caught up with what was typed: the server looks whether it is only one.
      event.preventDefault();
      const asked = new URLSearchParams([...new FormData(event.target.form)].filter(([, value]) => value));
      location.assign(`${event.target.form.getAttribute("action")}?${asked}&go=1`);
      return;
    }
    if (typing) return;
    const week = event.target.closest?.(".ruler a");
    if (week && AMONG_WEEKS[event.key]) {
      const weeks = [...week.closest(".ruler").querySelectorAll("a")];
      const next = weeks[Math.min(Math.max(AMONG_WEEKS[event.key](weeks.indexOf(week), weeks.length - 1), 0), weeks.length - 1)];
      event.preventDefault();
      week.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
      return;
    }
    if (Date.now() - going < 1000 && Object.hasOwn(GO, event.key)) {
      going = 0;
      location.assign(GO[event.key]);
      return;
    }
    if (Object.hasOwn(KEYS, event.key)) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  // --- nobody is signed in any more: the page leads to the sign-in, but not away from what somebody writes ---

  const signedOut = document.querySelector("[data-signed-out]");

  function isWriting() {
    if (document.querySelector("main form .problem")) return true; // what was refused stands in it as if it were the page's own
    const fields = document.querySelectorAll("main form[method=post] :is(textarea, input:not([type=hidden], [type=checkbox]))");
    return [...fields].some((field) => field.value !== field.defaultValue);
  }

  document.addEventListener("signed-out", () => {
    // Not reload(): it could send a form again.
    if (!isWriting()) location.assign(location.pathname + location.search);
    signedOut.hidden = false;
  });
  document.addEventListener("signed-in", () => { signedOut.hidden = true; });

  // --- code to copy ---

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    const before = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = before; }, 1500);
  });

  // A list that came by itself: its times and the heads that sort it.
  document.addEventListener("htmx:after:swap", () => localTimes(document));

  localTimes(document);
})();
