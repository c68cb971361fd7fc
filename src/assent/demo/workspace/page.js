// Draws the page again when something changed, unless somebody is filling in a dialog.
const seen = document.body.dataset.version;
setInterval(async () => {
  if (document.querySelector("dialog[open]")) return;
  const now = await (await fetch("/version")).json();
  if (String(now.version) !== seen) location.reload();
}, 700);
for (const form of document.querySelectorAll("form[data-ask]"))
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.ask)) event.preventDefault(); });
