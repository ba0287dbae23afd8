// Shows what /live/events streams. It is read with fetch, since EventSource can send no Authorization header.
"use strict";

const MOST_ROWS = 300;
const MOST_SOURCES = 50;
const WORDS = { accepted: "accepted", attributed: "attributed", unattributed: "no account", rejected: "rejected" };
const VIA = { event: "the event", domain: "e-mail domain", user: "the user", operator: "a file" };
const $ = (id) => document.getElementById(id);

const rows = $("rows");
const byEvent = new Map();
let connection = null;
let paused = false;
let unseen = 0;
let seen = 0;

// `tidemark dev` prints an address with the token behind a #, which browsers send nowhere. A tab keeps it over a reload.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) history.replaceState(null, "", location.pathname + location.search);
$("token").value = given || sessionStorage.getItem("token") || "";

function status(text, problem = false) {
  $("status").textContent = text;
  $("status").classList.toggle("problem", problem);
}

function cell(row, text) {
  const made = row.insertCell();
  made.textContent = text || "";
  return made;
}

function prepend(row) {
  rows.prepend(row);
  while (rows.rows.length > MOST_ROWS) {
    const last = rows.rows[rows.rows.length - 1];
    if (byEvent.get(last.dataset.event) === last) byEvent.delete(last.dataset.event);
    last.remove();
  }
}

function gap(count, what) {
  const row = document.createElement("tr");
  row.className = "gap";
  cell(row, `${count.toLocaleString()} more ${what}`).colSpan = 8;
  prepend(row);
}

function fill(row, arrival) {
  row.className = arrival.verdict;
  row.replaceChildren();
  const time = new Date(arrival.at);
  const first = cell(row, "");
  const stamp = document.createElement("time");
  stamp.dateTime = stamp.title = time.toISOString();
  stamp.textContent = time.toLocaleTimeString();
  first.append(stamp);
  cell(row, WORDS[arrival.verdict]);
  const what = cell(row, [arrival.kind, arrival.name].filter(Boolean).join(" "));
  if (arrival.code) {
    const reason = document.createElement("span");
    reason.className = "reason";
    reason.textContent = [arrival.code, arrival.field, arrival.detail].filter(Boolean).join(": ");
    what.append(reason);
  }
  cell(row, arrival.account);
  cell(row, VIA[arrival.via] || arrival.via);
  cell(row, arrival.user);
  cell(row, arrival.environment && arrival.environment !== "production" ? `${arrival.source} (${arrival.environment})` : arrival.source);
  cell(row, arrival.id);
}

function show(arrival) {
  seen += 1;
  if (arrival.source && $("sources").children.length < MOST_SOURCES && ![...$("sources").children].some((each) => each.value === arrival.source)) {
    const option = document.createElement("option");
    option.value = arrival.source;
    $("sources").append(option);
  }
  const event = arrival.id && JSON.stringify([arrival.source, arrival.id]);
  const known = event && arrival.verdict === "attributed" && byEvent.get(event);
  if (known) return fill(known, arrival);
  if (paused) return void (unseen += 1);
  const row = document.createElement("tr");
  fill(row, arrival);
  if (event) {
    row.dataset.event = event;
    byEvent.set(event, row);
  }
  prepend(row);
}

function take(news) {
  for (const arrival of news.arrivals) show(arrival);
  if (news.hidden) paused ? (unseen += news.hidden) : gap(news.hidden, "not shown");
  if (news.passed) gap(news.passed, "records of all sources passed by too fast to be looked at");
  if (news.problem) status(news.problem, true);
  else status(paused ? `Paused: ${unseen.toLocaleString()} more not shown.` : `Watching ${$("source").value || "all sources"}: ${seen.toLocaleString()} so far.`);
}

async function read(controller) {
  const source = $("source").value;
  const headers = $("token").value ? { Authorization: `Bearer ${$("token").value}` } : {};
  const answer = await fetch(`/live/events?source=${encodeURIComponent(source)}`, { headers, signal: controller.signal });
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({ message: `ingest answers ${answer.status}` }));
    if (answer.status === 401) {
      $("secret").hidden = false;
      $("token").focus();
    }
    status(`Not connected: ${told.message}.`, true);
    return answer.status === 429 || answer.status >= 500;
  }
  sessionStorage.setItem("token", $("token").value);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return true;
    text += value;
    const messages = text.split("\n\n");
    text = messages.pop();
    for (const message of messages) {
      const data = message.split("\n").find((line) => line.startsWith("data: "));
      if (message.startsWith("event: begun")) status(`Watching ${source || "all sources"}: nothing yet.`);
      else if (data) take(JSON.parse(data.slice(6)));
    }
  }
}

async function watch() {
  connection?.abort();
  const controller = (connection = new AbortController());
  for (let wait = 1; connection === controller; wait = Math.min(30, wait * 2)) {
    let again = true;
    try {
      status("Connecting.");
      again = await read(controller);
      wait = 1;
    } catch (error) {
      if (error.name === "AbortError") return;
      status("Ingest does not answer; trying again.", true);
    }
    if (!again) return;
    await new Promise((later) => setTimeout(later, wait * 1000));
  }
}

function pause() {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Go on" : "Pause";
  if (!paused && unseen) gap(unseen, "not shown while it was paused");
  unseen = 0;
  status(paused ? "Paused." : "Watching.");
}

function clear() {
  rows.replaceChildren();
  byEvent.clear();
  seen = 0;
}

$("watch").addEventListener("submit", (event) => {
  event.preventDefault();
  clear();
  watch();
});
$("pause").addEventListener("click", pause);
$("clear").addEventListener("click", clear);
$("verdicts").addEventListener("change", ({ target }) => rows.classList.toggle(`hide-${target.value}`, !target.checked));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox])")) return;
  const does = { "/": () => $("source").focus(), p: pause, c: clear }[event.key];
  if (does) {
    event.preventDefault();
    does();
  }
});
$("source").value = new URLSearchParams(location.search).get("source") || "";
watch();
