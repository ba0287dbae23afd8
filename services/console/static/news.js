// What has happened since the page was opened: a stream of the server, which goes on where it ended, and says when it does not.
"use strict";
(() => {
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const note = live.querySelector(".news");
  const stopped = live.querySelector(".news-stopped");
  const FIRST_WAIT_MS = 1_000;
  const LONGEST_WAIT_MS = 60_000;
  const PATIENCE_MS = 5_000;

  let source = null;
  let timer = 0;
  let failures = 0;
  let last = "";
  let news = 0;

  function tell() {
    news += 1;
    note.querySelector("a").textContent = live.dataset.words.replace("{count}", String(news));
    note.hidden = false;
  }

  function heard(event, isNews) {
    last = event.lastEventId || last;
    if (isNews) tell();
  }

  function broken() {
    clearTimeout(timer);
    if (source.readyState !== EventSource.CLOSED) {
      // The browser comes back by itself: after each quarter of an hour, when the server ends the stream, it does at once.
      timer = setTimeout(() => { stopped.hidden = false; }, PATIENCE_MS);
      return;
    }
    // After an answer that is no stream, as 503, browsers give up for good.
    stopped.hidden = false;
    const wait = Math.min(FIRST_WAIT_MS * 2 ** failures, LONGEST_WAIT_MS);
    failures += 1;
    timer = setTimeout(listen, wait * (0.8 + 0.4 * Math.random()));
    tellIfSignedOut();
  }

  // The browser does not tell with which status a stream was refused.
  async function tellIfSignedOut() {
    const asking = new AbortController();
    try {
      const answer = await fetch(live.dataset.live, { signal: asking.signal });
      if (answer.status === 401) document.dispatchEvent(new Event("signed-out"));
    } catch {
      // no answer: the stream is asked for again in any case
    } finally {
      asking.abort();
    }
  }

  function listen() {
    clearTimeout(timer);
    source?.close();
    source = null;
    // Browsers open six connections to a server at most: pages that nobody looks at give theirs back.
    if (document.hidden) return;
    source = new EventSource(last ? `${live.dataset.live}?after=${encodeURIComponent(last)}` : live.dataset.live);
    source.addEventListener("open", () => {
      clearTimeout(timer);
      failures = 0;
      stopped.hidden = true;
      document.dispatchEvent(new Event("signed-in"));
    });
    source.addEventListener("error", broken);
    // What a backfill of the past brings to light is no news.
    source.addEventListener("signal", (event) => heard(event, !JSON.parse(event.data).historical));
    source.addEventListener("reload", (event) => heard(event, true));
    for (const kind of ["ready", "health", "forgotten"]) source.addEventListener(kind, (event) => heard(event, false));
  }

  document.addEventListener("visibilitychange", listen);
  listen();
})();
