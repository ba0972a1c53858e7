// What the pages do beyond links and forms: they stay current, keep what is open, copy, and mark what is wrong.
"use strict";

const pause = document.getElementById("pause");
const said = document.getElementById("said");
let stream = null;

function follow() {
  const wanted = pause && !document.hidden && pause.getAttribute("aria-pressed") === "false";
  if (!wanted && stream) {
    // Browsers open few connections to one server: a page that nobody looks at keeps none.
    stream.close();
    stream = null;
  }
  if (wanted && !stream) {
    stream = new EventSource("/console/changes");
    stream.addEventListener("changed", () => htmx.trigger(document.body, "changed"));
    stream.addEventListener("open", () => {
      document.documentElement.dataset.live = "yes";
      // What has happened since the page was made was told to nobody.
      htmx.trigger(document.body, "changed");
    });
    stream.addEventListener("error", () => { delete document.documentElement.dataset.live; });
  }
}

function ready() {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  for (const button of document.querySelectorAll("#choose > button, #filter > button")) button.hidden = true;
}

function mark() {
  const problems = new Map();
  for (const one of document.querySelectorAll("#problems [data-field]")) problems.set(`field:${one.dataset.field}`, one.id);
  for (const field of document.querySelectorAll("[id^='field:']")) {
    // A problem inside of a value is that field's; one of the payload as a whole, or of what is missing, is its nearest's.
    const found = [...problems].find(([place]) => place === field.id || place.startsWith(`${field.id}/`));
    if (found) {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", found[1]);
    } else {
      field.removeAttribute("aria-invalid");
      field.removeAttribute("aria-describedby");
    }
  }
}

if (pause) {
  pause.hidden = !document.getElementById("live");
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") === "false";
    pause.setAttribute("aria-pressed", String(paused));
    follow();
    if (!paused) htmx.trigger(document.body, "changed");
  });
}
document.addEventListener("visibilitychange", follow);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trimEnd());
  said.textContent = "Copied";
});

// The address says what is filtered for, and nothing else.
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") return;
  for (const [name, value] of [...event.detail.formData]) if (value === "") event.detail.formData.delete(name);
});

// What was opened or closed stays so when the part of the page it is in is renewed, and what is the same is left alone.
const open = new Map();
let before = "";
document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target;
  if (target.id !== "live") return;
  if (event.detail.requestConfig.triggeringEvent?.type === "changed" && event.detail.serverResponse === before) event.detail.shouldSwap = false;
  before = event.detail.serverResponse;
  open.clear();
  for (const one of target.querySelectorAll("details[id]")) open.set(one.id, one.open);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, was] of open) {
    const one = document.getElementById(id);
    if (one) one.open = was;
  }
  open.clear();
  ready();
  mark();
});
// Whoever goes back twice wants the second page, whichever is answered first.
let restoring = null;
document.addEventListener("htmx:historyCacheMiss", (event) => {
  restoring?.abort();
  restoring = event.detail.xhr;
});
document.addEventListener("htmx:historyRestore", () => {
  ready();
  mark();
});
// What is refused is shown like everything else.
document.addEventListener("htmx:beforeSwap", (event) => { if (event.detail.xhr.status === 422) event.detail.shouldSwap = true; });

ready();
mark();
follow();
