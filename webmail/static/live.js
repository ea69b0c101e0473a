// What changes elsewhere is shown without a reload: events say that something has, and the page asks for it again.
"use strict";

(() => {
  let source = null;
  let lost = false; // events may have been missed

  const pageBox = () => {
    const rows = document.getElementById("rows");
    return rows ? rows.dataset.box : "INBOX";
  };
  // failed asks again, soon or when the line is back.
  const failed = () => {
    lost = true;
    setTimeout(() => { if (source && source.readyState === EventSource.OPEN) catchUp(); }, 5000);
  };
  const catchUp = () => {
    if (!lost) return;
    lost = false;
    refresh();
    refreshFolders();
  };
  const refresh = () => { if (document.getElementById("rows")) window.postroom.refreshList().catch(failed); };

  const showCounts = (counts) => {
    for (const link of document.querySelectorAll("#folders a[data-box]")) {
      const n = counts[link.dataset.box];
      if (n === undefined) continue;
      link.classList.toggle("unread", n > 0);
      let count = link.querySelector(".count");
      if (!n) { if (count) count.remove(); continue; }
      if (!count) {
        count = document.createElement("span");
        count.className = "count";
        link.append(count);
      }
      count.textContent = String(n);
      count.removeAttribute("title");
    }
    if (counts.INBOX !== undefined) {
      const title = document.title.replace(/^\(\d+\) /, "");
      document.title = counts.INBOX ? `(${counts.INBOX}) ${title}` : title;
    }
  };

  const refreshFolders = () => { fetchFolders().catch(failed); };
  const fetchFolders = async () => {
    const answer = await fetch("/sidebar?box=" + encodeURIComponent(pageBox()), { headers: { "HX-Request": "true", "HX-Request-Type": "partial", "Postroom-Live": "1" } });
    if (!answer.ok) return;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const now = document.getElementById("folders");
    const next = holder.content.getElementById("folders");
    if (now && next) now.replaceWith(next);
  };

  const notify = (mails) => {
    if (!("Notification" in window) || Notification.permission !== "granted" || !document.hidden) return;
    for (const mail of mails) {
      const note = new Notification(mail.from || mail.box, { body: mail.subject, tag: mail.link });
      note.onclick = () => { window.focus(); location.assign(mail.link); };
    }
  };

  const close = () => { if (source) source.close(); source = null; };
  const connect = () => {
    if (source || !document.body.dataset.live) return;
    source = new EventSource(document.body.dataset.live + "?box=" + encodeURIComponent(pageBox()));
    source.addEventListener("open", () => { document.body.dataset.connected = "1"; catchUp(); });
    source.addEventListener("error", () => {
      lost = true;
      delete document.body.dataset.connected;
      if (source && source.readyState === EventSource.CLOSED) { // it was answered otherwise: the session is over, or the folder gone
        close();
        setTimeout(() => { if (!document.hidden) connect(); }, 15000);
      }
    });
    source.addEventListener("counts", (event) => showCounts(JSON.parse(event.data)));
    source.addEventListener("list", refresh);
    source.addEventListener("tree", refreshFolders);
    source.addEventListener("mail", (event) => notify(JSON.parse(event.data)));
    source.addEventListener("gone", () => { close(); location.assign("/?box=" + encodeURIComponent(pageBox())); });
    source.addEventListener("bye", () => { close(); lost = true; });
  };

  document.addEventListener("visibilitychange", () => { if (!document.hidden) connect(); });
  window.addEventListener("online", connect);
  window.addEventListener("pageshow", (event) => { if (event.persisted) { close(); lost = true; connect(); } });
  window.addEventListener("pagehide", close);

  document.addEventListener("DOMContentLoaded", () => {
    connect();
    // Browsers ask their user only when he has clicked something.
    const menu = document.querySelector(".bar-end .menu-body");
    if (!menu || !("Notification" in window) || Notification.permission !== "default") return;
    const allow = document.createElement("button");
    allow.type = "button";
    allow.className = "link";
    allow.textContent = document.body.dataset.notify;
    allow.addEventListener("click", async () => { await Notification.requestPermission(); allow.remove(); });
    menu.insertBefore(allow, menu.lastElementChild);
  });
})();
