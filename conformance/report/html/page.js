"use strict";
// Only comfort: filter, search, links that open what they lead to, a copy of what is to be sent again, print.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const checks = all("details.check").map((node) => ({
  node,
  verdict: node.dataset.verdict,
  level: node.dataset.level,
  family: node.closest(".family").dataset.family,
  text: all("summary, .inside > dl", node).map((part) => part.textContent).join(" ").toLowerCase(),
}));

function filter() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = ["verdict", "level", "family"].map((name) => [name, byId(`by-${name}`).value]);
  let found = 0;
  for (const check of checks) {
    const fits = wanted.every(([name, value]) => !value || check[name] === value) &&
      words.every((word) => check.text.includes(word));
    check.node.hidden = !fits;
    found += fits;
  }
  for (const family of all(".family")) family.hidden = all("details.check:not([hidden])", family).length === 0;
  byId("none").hidden = found > 0;
  byId("found").textContent = `${found} of ${checks.length}`;
}

function follow() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  const check = target && target.closest("details.check");
  if (!check) return;
  if (check.hidden) {
    byId("filter").reset();
    filter();
  }
  check.open = true;
  check.scrollIntoView();
  check.querySelector("summary").focus({ preventScroll: true });
}

byId("filter").hidden = false;
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", filter);
byId("open-all").addEventListener("click", () => checks.forEach(({ node }) => { node.open = !node.hidden || node.open; }));
byId("close-all").addEventListener("click", () => checks.forEach(({ node }) => { node.open = false; }));
addEventListener("hashchange", follow);
// A link to where one already is changes no hash.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link && link.hash === location.hash) follow();
});
for (const again of all("details.again")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const text = again.querySelector("pre");
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: copy it with the keyboard";
    }
  });
  again.querySelector("pre").before(button);
}
let opened = [];
addEventListener("beforeprint", () => {
  opened = all("details.check:is(.fail, .could-not-run, .harness-error):not([open]), details.more:not([open])");
  opened.forEach((node) => { node.open = true; });
});
addEventListener("afterprint", () => opened.forEach((node) => { node.open = false; }));
filter();
follow();
