// What quickens the pages; all of them work without it.
"use strict";

// Scripts of one subject each meet here.
window.postroom = {};

(() => {
  const narrow = matchMedia("(max-width: 719px)");

  // A message that was fetched takes the place of the one before: its row is marked, a phone shows it.
  document.addEventListener("htmx:after:swap", () => {
    const message = document.querySelector("#reading .message");
    if (!message) return;
    document.body.dataset.pane = "message";
    for (const row of document.querySelectorAll(".row.current")) {
      row.classList.remove("current");
      row.firstElementChild.removeAttribute("aria-current");
    }
    const row = document.getElementById("m" + message.dataset.uid);
    if (row) {
      row.classList.add("current");
      row.firstElementChild.setAttribute("aria-current", "true");
      row.classList.remove("unseen");
      for (const mark of row.querySelectorAll(".dot, .dot + .hidden")) mark.remove();
    }
    document.getElementById("reading").scrollTop = 0;
  });

  // What cannot be fetched as a part is asked for as a page, which says what is wrong.
  document.addEventListener("htmx:error", (event) => {
    const link = event.target.closest && event.target.closest("a[href]");
    if (link) location.assign(link.href);
  });

  // A menu closes when something else is clicked, or by Escape.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    if (narrow.matches && location.hash === "#folders" && !event.target.closest("#folders")) {
      history.replaceState(null, "", location.pathname + location.search + "#");
      location.hash = "";
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    if (location.hash === "#folders") location.hash = "";
  });

  // The browser knows more time zones than the server suggests.
  document.addEventListener("DOMContentLoaded", () => {
    const zone = document.getElementById("zone");
    if (!zone || !Intl.supportedValuesOf) return;
    const list = document.getElementById("zones");
    list.replaceChildren(...Intl.supportedValuesOf("timeZone").map((name) => {
      const option = document.createElement("option");
      option.value = name;
      return option;
    }));
  });
})();
