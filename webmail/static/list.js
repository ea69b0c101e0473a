// The list: choosing many messages, by mouse and keys, and dragging them to a folder.
"use strict";

document.documentElement.classList.add("js");

(() => {
  const { keys } = window.postroom;
  const rows = () => [...document.querySelectorAll("#rows > .row")];
  const box = (row) => row.querySelector(".check input");
  const chosen = () => rows().filter((row) => box(row).checked);
  let last = null; // the key of the row that was chosen last: where a range begins

  const update = () => {
    const all = rows();
    const n = chosen().length;
    const bar = document.querySelector(".bulk");
    if (bar && n > 0 !== bar.classList.contains("some")) {
      // What can be done stands over the head of the list then, so that no row moves under the pointer.
      const list = document.getElementById("list");
      if (n > 0) bar.style.setProperty("--over", bar.getBoundingClientRect().top - list.getBoundingClientRect().top + list.scrollTop + "px");
      bar.classList.toggle("some", n > 0);
    }
    const every = document.getElementById("choose-all");
    if (every) {
      every.checked = n > 0 && n === all.length;
      every.indeterminate = n > 0 && n < all.length;
    }
  };
  const choose = (list, on) => {
    for (const row of list) box(row).checked = on;
    update();
  };

  document.addEventListener("click", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || !input.matches("#rows .check input")) return;
    const all = rows();
    const at = all.findIndex((row) => box(row) === input);
    const from = all.findIndex((row) => box(row).value === last);
    if (event.shiftKey && from >= 0) choose(all.slice(Math.min(at, from), Math.max(at, from) + 1), input.checked);
    last = input.value;
    update();
  });
  // A click with a key held chooses instead of opening.
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("#rows .row-link");
    if (!link || !(event.shiftKey || event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const input = box(link.parentElement);
    input.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: event.shiftKey }));
  }, true);
  document.addEventListener("change", (event) => {
    if (event.target.id === "choose-all") choose(rows(), event.target.checked);
    else if (event.target.matches("#rows .check input")) update();
  });

  // The cursor of the keyboard.
  const cursor = () => document.querySelector("#rows > .cursor") || document.querySelector("#rows > .current");
  const setCursor = (row) => {
    for (const old of document.querySelectorAll("#rows > .cursor")) old.classList.remove("cursor");
    row.classList.add("cursor");
    row.querySelector(".row-link").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };
  const step = (by) => () => {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(cursor());
    setCursor(all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))]);
  };
  keys.add("j", step(1));
  keys.add("k", step(-1));
  keys.add("o", () => { const row = cursor(); if (row) row.querySelector(".row-link").click(); });
  keys.add("x", () => {
    const row = cursor() || rows()[0];
    if (!row) return;
    setCursor(row);
    box(row).checked = !box(row).checked;
    last = box(row).value;
    update();
  });
  keys.add("* a", () => choose(rows(), true));
  keys.add("* n", () => choose(rows(), false));
  keys.add("/", () => { const q = document.getElementById("q"); if (q) q.select(), q.focus(); });
  keys.add("z", () => { const undo = document.getElementById("undo"); if (undo) undo.click(); });

  // An action is for what is chosen, else for the message that is open, else for the row of the cursor.
  const button = (form, act) => document.querySelector(`button[form="${form}"][value="${act}"]`);
  const act = (...names) => () => {
    const open = document.querySelector("#reading .message");
    let form = "bulk";
    if (!chosen().length) {
      const row = cursor();
      if (open && names.some((name) => button("message-act", name))) form = "message-act";
      else if (row) choose([row], true);
      else return;
    }
    const found = names.map((name) => button(form, name)).find(Boolean);
    if (found) found.click();
  };
  keys.add("#", act("delete"));
  keys.add("Delete", act("delete"));
  keys.add("!", act("junk", "notjunk"));
  keys.add("I", act("read"));
  keys.add("U", act("unread"));
  keys.add("s", act("flag"));
  keys.add("S", act("unflag"));
  const field = (id) => () => {
    const row = cursor();
    if (!chosen().length && row) choose([row], true);
    const element = document.getElementById(id);
    if (element && chosen().length) element.focus();
  };
  keys.add("v", field("bulk-to"));
  keys.add("l", field("bulk-word"));
  document.addEventListener("keydown", (event) => { // Enter in the field of labels adds the label
    if (event.key !== "Enter" || event.target.id !== "bulk-word") return;
    event.preventDefault();
    button("bulk", "label").click();
  });

  // Rows are dragged to a folder; with Ctrl held they are copied.
  document.addEventListener("dragstart", (event) => {
    const row = event.target instanceof Element && event.target.closest("#rows > .row");
    if (!row) return;
    if (!box(row).checked) choose(rows(), false);
    choose([row], true);
    for (const each of chosen()) each.classList.add("dragged");
    event.dataTransfer.setData("application/x-postroom-rows", String(chosen().length));
    event.dataTransfer.effectAllowed = "copyMove";
  });
  document.addEventListener("dragend", () => {
    for (const row of document.querySelectorAll(".dragged")) row.classList.remove("dragged");
    for (const folder of document.querySelectorAll("#folders .target")) folder.classList.remove("target");
  });
  const folderAt = (event) => {
    if (![...event.dataTransfer.types].includes("application/x-postroom-rows")) return null;
    const folder = event.target instanceof Element && event.target.closest("#folders a[data-box]");
    if (!folder) return null;
    const to = document.getElementById("bulk-to");
    return to && [...to.options].some((option) => option.value === folder.dataset.box) ? folder : null;
  };
  document.addEventListener("dragover", (event) => {
    const folder = folderAt(event);
    for (const old of document.querySelectorAll("#folders .target")) if (old !== folder) old.classList.remove("target");
    if (!folder) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = event.ctrlKey ? "copy" : "move";
    folder.classList.add("target");
  });
  document.addEventListener("drop", (event) => {
    const folder = folderAt(event);
    if (!folder) return;
    event.preventDefault();
    document.getElementById("bulk-to").value = folder.dataset.box;
    const found = button("bulk", event.ctrlKey ? "copy" : "move") || button("bulk", "copy");
    if (found) found.click();
  });

  // While an order is being prepared, the page looks again by itself.
  const prepare = () => {
    if (document.getElementById("preparing")) setTimeout(() => window.postroom.refreshList().catch(prepare), 1000);
  };
  document.addEventListener("DOMContentLoaded", () => { update(); prepare(); });
  addEventListener("resize", () => {
    const bar = document.querySelector(".bulk.some");
    if (!bar) return;
    bar.classList.remove("some");
    update();
  });

  // refreshList asks for the list again; what is chosen, the cursor and the place on the page stay.
  let asking = null;
  window.postroom.refreshList = async () => {
    const now = document.getElementById("rows");
    if (!now) return;
    if (asking) asking.abort();
    asking = new AbortController();
    const open = document.querySelector("#reading .message");
    const url = new URL(now.dataset.self, location.href);
    if (open && open.dataset.box === now.dataset.box) url.searchParams.set("open", open.dataset.uid);
    try {
      const answer = await fetch(url, { headers: { "HX-Request": "true", "HX-Request-Type": "partial", "Postroom-Live": "1" }, signal: asking.signal });
      if (!answer.ok) { location.reload(); return; }
      const text = await answer.text();
      const list = document.getElementById("list");
      if (!list || document.activeElement && document.activeElement.matches("#bulk-to, #bulk-word, .menu[open] *")) return; // somebody is at work in it
      const kept = new Set(chosen().map((row) => box(row).value));
      const at = cursor() && box(cursor()).value;
      const focused = document.activeElement && document.activeElement.closest("#rows .row");
      const top = list.scrollTop;
      list.innerHTML = text;
      for (const row of rows()) {
        const key = box(row).value;
        if (kept.has(key)) box(row).checked = true;
        if (key === at && !row.classList.contains("current")) row.classList.add("cursor");
        if (focused && key === at) row.querySelector(".row-link").focus({ preventScroll: true });
      }
      list.scrollTop = top;
      if (window.htmx) window.htmx.process(list);
      update();
      prepare();
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  };
})();
