// Makes the pages live. Without this script they show the same facts, and all forms work.
"use strict";

// Parts with data-live="name" are replaced when the server sends a new one.
let events = null;

function replacePart(name, html) {
  const part = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
  if (!part || part.contains(document.activeElement)) {
    return;
  }
  const parsed = new DOMParser().parseFromString(html, "text/html");
  part.replaceChildren(...parsed.body.childNodes);
}

function listen() {
  if (events || document.hidden || !document.querySelector("[data-live]")) {
    return;
  }
  events = new EventSource("/live");
  events.onmessage = (message) => {
    for (const [name, html] of Object.entries(JSON.parse(message.data))) {
      replacePart(name, html);
    }
  };
  // The browser comes back by itself, but not after it was refused.
  events.onerror = () => {
    if (events && events.readyState === EventSource.CLOSED) {
      events = null;
      setTimeout(listen, 30000);
    }
  };
}

function stop() {
  if (events) {
    events.close();
    events = null;
  }
}

document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
window.addEventListener("pagehide", stop);
listen();

// A form with data-filter="id" replaces the element of that id while somebody types.
let asked = 0;

async function filter(form) {
  const fields = new URLSearchParams(new FormData(form));
  const url = `${form.getAttribute("action")}?${fields}`;
  const number = ++asked;
  let text;
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (!answer.ok) {
      return;
    }
    text = await answer.text();
  } catch {
    return; // the server does not answer; the button shows it
  }
  const id = form.dataset.filter;
  const found = new DOMParser().parseFromString(text, "text/html").getElementById(id);
  const former = document.getElementById(id);
  if (number === asked && found && former) {
    former.replaceWith(found);
    history.replaceState(null, "", url);
  }
}

for (const form of document.querySelectorAll("form[data-filter]")) {
  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => filter(form), 150);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    filter(form);
  });
}

// A box with data-all checks or unchecks all other boxes of its table.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const box of event.target.closest("table").querySelectorAll("tbody .box input")) {
      box.checked = event.target.checked;
    }
  }
});
