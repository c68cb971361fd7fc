// The console's only script. Pages work without it, but for one thing: a yes needs it, because it reports what was on the
// screen. It never makes markup of text: what it puts into a page was parsed by the browser from a page of ours.

const csrf = () => document.body.dataset.signedIn ?? "";

async function post(url, fields) {
  const body = new URLSearchParams({ csrf: csrf(), ...fields });
  return fetch(url, { method: "POST", body, redirect: "manual" });
}

// --- the last line was on the screen: the broker records it, and only then the button wakes -----------------------------

function onScreen(element) {
  return new Promise((resolve) => {
    const watch = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting) && document.visibilityState === "visible") {
        watch.disconnect();
        resolve();
      }
    });
    watch.observe(element);
  });
}

async function wakeApprove(form) {
  const said = form.querySelector("[data-wake]");
  const last = document.querySelector("[data-last-line]");
  await onScreen(last);
  const fields = { digest: form.dataset.digest, values: form.dataset.values };
  const answer = await post(form.dataset.shown, fields).catch(() => null);
  if (answer?.status === 204) {
    form.querySelector("button").disabled = false;
    said.textContent = "You have seen all of it, and that is on record.";
    return;
  }
  said.textContent = answer?.status ? await answer.text() : "The broker did not answer: load the page again.";
}

// --- time that is left --------------------------------------------------------------------------------------------------

function span(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

const seen = new WeakMap();

function sinceLoad(tag) {
  if (!seen.has(tag)) seen.set(tag, performance.now());
  return (performance.now() - seen.get(tag)) / 1000;
}

function countDown() {
  for (const tag of document.querySelectorAll("[data-until]")) {
    // By the broker's clock when the page was made, and the seconds since; this machine's own clock may be wrong.
    const made = tag.closest("[data-now]").dataset.now;
    const left = (Date.parse(tag.dataset.until) - Date.parse(made)) / 1000 - sinceLoad(tag);
    tag.textContent = left > 0 ? `${span(left)} left` : "time is over";
  }
}

// --- staying current: the broker sends the parts that keep themselves current, or the page asks for itself anew -----------

function isBusy(part) {
  const dirty = [...part.querySelectorAll("input, textarea, select")].some(
    (field) => field.type !== "hidden" && (field.checked || field.value !== field.defaultValue) && field.value !== "",
  );
  return dirty || part.contains(document.activeElement) || part.querySelector("details[open]") !== null;
}

function put(fresh) {
  // What is made for many carries nobody's own token.
  for (const field of fresh.querySelectorAll('input[name="csrf"]')) field.setAttribute("value", csrf());
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.innerHTML !== part.innerHTML && !isBusy(part)) part.replaceWith(document.adoptNode(next));
  }
  const answer = document.getElementById("answer");
  if (answer && !fresh.getElementById("answer")) {
    answer.replaceChildren(Object.assign(document.createElement("p"), {
      className: "note", textContent: "This was decided, or is over: how it stands is said above.",
    }));
  }
}

const parsed = (text) => new DOMParser().parseFromString(text, "text/html");

function say(text) {
  const note = document.getElementById("live");
  note.hidden = text === "";
  note.textContent = text;
}

const AGAIN = 30_000;
let stream = null;

// Where the broker keeps no more pages current, this one asks for itself now and then.
async function askAnew() {
  const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" }).catch(() => null);
  if (answer?.type === "opaqueredirect") {
    say("You are not signed in any more: load this page again.");
    return;
  }
  say(answer ? "Too many pages are open at once. This one looks for what is new every 30 seconds." : AWAY);
  if (answer?.ok) put(parsed(await answer.text()));
  setTimeout(() => { stream = null; listen(); }, AGAIN);
}

const AWAY = "The broker does not answer. This page shows what was.";

function listen() {
  // A browser has few connections to one host, so only the page that is looked at holds one.
  if (document.visibilityState !== "visible") { stream?.close(); stream = null; return; }
  if (stream) return;
  const address = new URL("live", document.querySelector("a.home").href);
  address.searchParams.set("of", location.pathname + location.search);
  stream = new EventSource(address);
  stream.onopen = () => say("");
  stream.onmessage = (event) => put(parsed(JSON.parse(event.data)));
  stream.onerror = (event) => (event.target.readyState === EventSource.CLOSED ? askAnew() : say(AWAY));
}

if ("signedIn" in document.body.dataset && document.querySelector("[data-live]")) {
  listen();
  document.addEventListener("visibilitychange", listen);
}
addEventListener("pagehide", () => { stream?.close(); stream = null; });

document.querySelectorAll("form[data-approve]").forEach(wakeApprove);
setInterval(countDown, 1000);

// A form that was sent is not sent twice by a second press.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button) setTimeout(() => { button.disabled = true; }, 0);
});
// Coming back with the browser's own button shows the page as it stands now.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
