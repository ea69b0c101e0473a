// Writing: drafts are saved as one writes, files attached by dropping them, addresses completed. Without it the form does all of that by its buttons.
"use strict";

(() => {
  postroom.keys.add("c", () => { location.assign("/compose"); });
  postroom.keys.add("g o", () => { location.assign("/outbox"); });
  for (const key of ["r", "a", "f"]) {
    postroom.keys.add(key, () => {
      const link = document.querySelector(`#reading [data-answer="${key}"]`);
      if (link) location.assign(link.href);
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("compose");
    if (form) write(form);
  });

  function write(form) {
    const saved = document.getElementById("saved");
    const files = document.getElementById("files");
    const input = document.getElementById("file");
    const field = (name) => form.elements.namedItem(name);
    let changed = 0; // counts changes
    let stored = 0; // the count that the draft has
    let timer = 0;
    let running = Promise.resolve(); // saves come one after the other
    let leaving = false;

    const text = document.getElementById("text");
    if (!field("to").value) field("to").focus();
    else { text.focus(); text.setSelectionRange(0, 0); text.scrollTop = 0; }

    // large drafts are saved more rarely: each save writes the whole message
    const pause = () => (files.children.length > 0 ? 20000 : 4000);
    form.addEventListener("input", (event) => {
      if (event.target === input) return;
      changed++;
      clearTimeout(timer);
      timer = setTimeout(() => save(null), pause());
    });
    document.addEventListener("visibilitychange", () => { if (document.hidden && changed !== stored) save(null); });
    addEventListener("beforeunload", (event) => { if (changed !== stored && !leaving) event.preventDefault(); });
    form.addEventListener("submit", (event) => {
      if (leaving) return;
      // What is being saved first, so that the form names the draft as it is.
      event.preventDefault();
      clearTimeout(timer);
      const button = event.submitter;
      running.then(() => setTimeout(() => { // while this event is being handled, no submit counts
        leaving = true;
        form.requestSubmit(button);
      }, 0));
    });
    form.addEventListener("keydown", (event) => {
      const send = document.getElementById("send");
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && send) {
        event.preventDefault();
        form.requestSubmit(send);
      } else if (event.key === "Enter" && event.target.matches("input:not([type=file])")) {
        event.preventDefault(); // neither sends nor leaves the page
      }
    });

    function save(list) {
      running = running.then(() => post(list)).catch(() => {
        saved.textContent = form.dataset.failed;
        clearTimeout(timer);
        if (!list) timer = setTimeout(() => save(null), 15000);
      });
      return running;
    }

    function post(list) {
      if (leaving || (!list && changed === stored)) return Promise.resolve();
      const at = changed;
      const data = new FormData(form);
      data.delete("file");
      for (const file of list || []) data.append("file", file);
      return new Promise((resolve, reject) => {
        const bar = list ? progress(list) : null;
        const request = new XMLHttpRequest();
        request.open("POST", "/compose/save");
        request.setRequestHeader("Accept", "application/json");
        request.upload.addEventListener("progress", (event) => { if (bar && event.lengthComputable) bar.value = event.loaded / event.total; });
        const end = (error) => {
          if (bar) bar.closest("li").remove();
          if (error) reject(error); else resolve();
        };
        request.addEventListener("error", () => end(new Error("network")));
        request.addEventListener("load", () => {
          if (request.status !== 200 || !(request.getResponseHeader("Content-Type") || "").startsWith("application/json")) {
            end(new Error(String(request.status)));
            return;
          }
          stored = at;
          took(JSON.parse(request.responseText));
          end(null);
        });
        request.send(data);
      });
    }

    // took lets the form name the draft that it is now.
    function took(answer) {
      field("bv").value = answer.v;
      field("buid").value = answer.uid;
      field("message_id").value = answer.message_id;
      for (const name of ["sbox", "sv", "suid"]) field(name).value = "";
      saved.textContent = answer.text;
      saved.classList.toggle("bad", answer.conflict);
      history.replaceState(null, "", answer.edit);
      const icon = document.querySelector(".attach svg");
      files.replaceChildren(...answer.files.map((file) => {
        const item = document.createElement("li");
        const label = document.createElement("label");
        const box = document.createElement("input");
        Object.assign(box, { type: "checkbox", name: "part", value: file.part + ":" + file.name, checked: true });
        const name = document.createElement("span");
        name.className = "name";
        name.textContent = file.name;
        const size = document.createElement("span");
        size.className = "sub";
        size.textContent = file.size;
        label.append(box, icon.cloneNode(true), " ", name, " ", size);
        item.append(label);
        return item;
      }));
    }

    function progress(list) {
      const item = document.createElement("li");
      const bar = document.createElement("progress");
      bar.setAttribute("aria-label", form.dataset.sending);
      bar.max = 1;
      bar.value = 0;
      const name = document.createElement("span");
      name.textContent = form.dataset.sending + " " + Array.from(list, (file) => file.name).join(", ") + " ";
      item.append(name, bar);
      files.append(item);
      return bar;
    }

    const attach = (list) => { if (list.length > 0) { changed++; save(Array.from(list)); } };
    input.addEventListener("change", () => {
      attach(Array.from(input.files));
      input.value = "";
    });
    const carries = (event) => event.dataTransfer && Array.from(event.dataTransfer.types).includes("Files");
    addEventListener("dragover", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      form.classList.add("drop");
    });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("drop"); });
    addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      form.classList.remove("drop");
      attach(event.dataTransfer.files);
    });

    for (const recipients of form.querySelectorAll(".recipients")) complete(recipients);
  }

  // complete offers addresses for what stands behind the last comma (the combobox pattern of ARIA).
  function complete(input) {
    const list = document.createElement("ul");
    list.className = "completions";
    list.id = input.id + "-completions";
    list.setAttribute("role", "listbox");
    list.hidden = true;
    input.after(list);
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-controls", list.id);
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    let chosen = -1;
    let timer = 0;
    let asked = 0;

    const start = () => {
      let quoted = false;
      let at = 0;
      for (let i = 0; i < input.value.length; i++) {
        if (input.value[i] === '"') quoted = !quoted;
        else if (!quoted && /[,;]/.test(input.value[i])) at = i + 1;
      }
      return at;
    };
    const hide = () => {
      list.hidden = true;
      chosen = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };
    const take = (text) => {
      const before = input.value.slice(0, start()).trimEnd();
      input.value = (before ? before + " " : "") + text + ", ";
      hide();
      input.dispatchEvent(new Event("input", { bubbles: true }));
      clearTimeout(timer);
      input.focus();
    };
    const mark = (i) => {
      const options = list.children;
      if (options.length === 0) return;
      chosen = (i + options.length) % options.length;
      Array.from(options).forEach((option, j) => option.setAttribute("aria-selected", String(j === chosen)));
      input.setAttribute("aria-activedescendant", options[chosen].id);
    };
    const show = (found) => {
      list.replaceChildren(...found.map((text, i) => {
        const option = document.createElement("li");
        option.id = list.id + i;
        option.setAttribute("role", "option");
        option.textContent = text;
        option.addEventListener("mousedown", (event) => { event.preventDefault(); take(text); });
        return option;
      }));
      if (found.length === 0) { hide(); return; }
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      mark(0);
    };
    input.addEventListener("input", () => {
      clearTimeout(timer);
      const q = input.value.slice(start()).trim();
      if (q.length < 2) { hide(); return; }
      timer = setTimeout(async () => {
        const number = ++asked;
        const answer = await fetch("/complete?q=" + encodeURIComponent(q)).catch(() => null);
        if (!answer || !answer.ok || number !== asked || document.activeElement !== input) return;
        const found = await answer.json().catch(() => []);
        if (number === asked) show(found);
      }, 150);
    });
    input.addEventListener("keydown", (event) => {
      if (list.hidden || event.ctrlKey || event.metaKey) return;
      switch (event.key) {
        case "ArrowDown": mark(chosen + 1); break;
        case "ArrowUp": mark(chosen - 1); break;
        case "Enter": case "Tab": take(list.children[chosen].textContent); break;
        case "Escape": hide(); break;
        default: return;
      }
      event.preventDefault();
      event.stopPropagation();
    });
    input.addEventListener("blur", () => { asked++; hide(); });
  }
})();
