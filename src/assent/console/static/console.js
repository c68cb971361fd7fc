// The console's only script. Pages work without it, but for one thing: a yes needs it, because it reports what was on the
// screen. It never makes markup of text: what it puts into a page was parsed by the browser from a page of ours.

const csrf = () => document.querySelector('input[name="csrf"]')?.value ?? "";

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
    const left = (Date.parse(tag.dataset.until) - Date.parse(tag.dataset.now)) / 1000 - sinceLoad(tag);
    tag.textContent = left > 0 ? `${span(left)} left` : "time is over";
  }
}

// --- staying current: the broker says that something moved, the page asks for itself anew ----------------------------------

function isBusy(part) {
  const dirty = [...part.querySelectorAll("input, textarea, select")].some(
    (field) => field.type !== "hidden" && (field.checked || field.value !== field.defaultValue) && field.value !== "",
  );
  return dirty || part.contains(document.activeElement) || part.querySelector("details[open]") !== null;
}

function put(fresh) {
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

let asking = false;
let again = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" }).catch(() => null);
  if (answer?.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
  // However much happens, a page asks no more often than this.
  setTimeout(() => { asking = false; if (again) { again = false; refresh(); } }, 500);
}

function say(text) {
  const note = document.getElementById("live");
  note.hidden = text === "";
  note.textContent = text;
}

let stream = null;

function listen() {
  // A browser has few connections to one host, so only the page that is looked at holds one.
  if (document.visibilityState !== "visible") { stream?.close(); stream = null; return; }
  if (stream) return;
  stream = new EventSource(new URL("live", document.querySelector("a.home").href));
  stream.onopen = () => { say(""); refresh(); };
  stream.onmessage = (event) => {
    if (event.data === "waits" || document.querySelector("[data-live=log]")) refresh();
  };
  stream.onerror = () => {
    const over = stream?.readyState === EventSource.CLOSED;
    say(over ? "This page is not kept current any more: load it again." : "The broker does not answer. This page shows what was.");
  };
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
