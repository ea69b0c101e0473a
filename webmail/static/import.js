// EML files that are dropped onto a list are imported into its folder.
"use strict";

(() => {
  const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  const target = (event) => {
    const list = event.target instanceof Element && event.target.closest("#list");
    return list && document.getElementById("import-link") ? list : null;
  };

  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    const list = target(event);
    if (!list) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    list.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    const list = document.getElementById("list");
    if (list && !list.contains(event.relatedTarget)) list.classList.remove("dropping");
  });
  // A form of the browser's own carries them: it shows that it is at work, and the answer is a page as ever.
  document.addEventListener("drop", (event) => {
    const list = hasFiles(event) && target(event);
    if (!list) return;
    event.preventDefault();
    list.classList.remove("dropping");
    const box = new URL(document.getElementById("import-link").href).searchParams.get("box") || "INBOX";
    const form = document.createElement("form");
    form.method = "post";
    form.enctype = "multipart/form-data";
    form.action = "/import?box=" + encodeURIComponent(box);
    form.hidden = true;
    const input = document.createElement("input");
    input.type = "file";
    input.name = "file";
    input.multiple = true;
    input.files = event.dataTransfer.files;
    form.append(input);
    document.body.append(form);
    list.setAttribute("aria-busy", "true");
    form.submit();
  });
})();
