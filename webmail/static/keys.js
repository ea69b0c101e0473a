// Keyboard shortcuts. Other scripts add theirs by postroom.keys.add; the help lists what keys.go has.
"use strict";

(() => {
  const actions = new Map();
  let first = ""; // of a shortcut of two keys, for a second
  let timer = 0;

  const go = (path) => () => { location.assign(path); };
  const typing = (element) => element.isContentEditable || /^(TEXTAREA|SELECT)$/.test(element.tagName) ||
    (element.tagName === "INPUT" && !/^(checkbox|radio|button|submit)$/.test(element.type));

  // add makes action run on "x", or on "g i": one key after the other.
  const add = (keys, action) => { actions.set(keys, action); };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const keys = first ? first + " " + event.key : event.key;
    first = "";
    clearTimeout(timer);
    const action = actions.get(keys);
    if (action) {
      event.preventDefault();
      action(event);
      return;
    }
    for (const known of actions.keys()) {
      if (known.startsWith(keys + " ")) {
        first = keys;
        timer = setTimeout(() => { first = ""; }, 1500);
        event.preventDefault();
        return;
      }
    }
  });

  const help = () => { document.getElementById("keys").showModal(); };
  add("?", help);
  add("g i", go("/"));
  add("g f", go("/folders"));
  add("g c", go("/contacts"));
  add("g s", go("/settings"));
  add("u", () => {
    const back = document.querySelector("#reading .back");
    if (back) location.assign(back.href);
  });
  document.addEventListener("DOMContentLoaded", () => {
    const open = document.getElementById("keys-open");
    if (open) open.addEventListener("click", (event) => { event.preventDefault(); help(); });
  });

  window.postroom.keys = { add };
})();
