// What pages do by themselves; without it all but live queries works. What others wrote is put in as text.
const POLL_MS = 5000;
const ROWS_MAX = 200;
// What was just answered is written by then.
const SETTLE_MS = 400;
const TRY_AGAIN_MS = 10000;
const CHECK_MS = 700;
const CHECKS_MAX = 10;

const all = (what, where = document) => [...where.querySelectorAll(what)];
const two = (number) => String(number).padStart(2, "0");
const shown = {
  hour: (at) => `${two(at.getHours())}:${two(at.getMinutes())}`,
  clock: (at) => `${two(at.getMonth() + 1)}-${two(at.getDate())} ${shown.hour(at)}:${two(at.getSeconds())}`,
  minute: (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${shown.hour(at)}`,
  full: (at) => `${shown.minute(at)}:${two(at.getSeconds())}`,
};

// Times by this device's clock; those in words keep them.
const localize = (where) => {
  for (const time of all("time[datetime]", where)) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const show = shown[time.dataset.t];
    if (show) time.textContent = show(at);
    time.title = show ? `${time.dateTime} (UTC)` : shown.full(at);
  }
  for (const told of all("[data-from]", where)) {
    const text = told.firstElementChild;
    if (text) text.textContent = text.textContent.replace(/^[0-9:]+/, shown.hour(new Date(told.dataset.from)));
  }
  for (const zone of all("[data-zone]", where)) zone.textContent = "";
  // What is said in another zone.
  for (const here of all("[data-here]", where)) here.hidden = here.parentNode.firstChild.data.includes(here.children[0].textContent);
};

const page = async (address) => {
  const response = await fetch(address, { headers: { accept: "text/html" } });
  if (!response.ok) throw new Error(response.statusText);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  localize(fresh);
  return fresh;
};

// Parts that say how it stands now.
const keepUp = () => {
  let asking = false;
  const look = async () => {
    if (document.hidden || asking) return;
    asking = true;
    try {
      const fresh = await page(location.href);
      for (const old of all("[data-live]")) {
        const now = fresh.getElementById(old.id);
        const held = old.contains(document.activeElement) || old.matches(":hover");
        if (now && !held && !now.isEqualNode(old)) old.replaceWith(now);
      }
    } catch {
      const state = document.getElementById("state");
      state.className = "state bad";
      state.textContent = "no answer from cleandns";
    } finally {
      asking = false;
    }
  };
  setInterval(look, POLL_MS);
  document.addEventListener("visibilitychange", look);
};

// Rows with what is typed; what is left without rows goes too.
const filter = (field) => {
  field.closest("[hidden]")?.removeAttribute("hidden");
  field.addEventListener("input", () => {
    const typed = field.value.trim().toLowerCase();
    let any = false;
    for (const card of all("main .card:has(.rows)")) {
      const rows = all(".rows tbody tr", card);
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(typed);
      const found = rows.some((row) => !row.hidden);
      card.hidden = !found;
      any ||= found;
      if (typed && found) for (const part of all("details", card)) part.open = true;
    }
    for (const none of all("[data-none]")) none.hidden = any;
  });
};

// Why, below the row.
const close = (row) => {
  row.previousElementSibling?.querySelector("[data-why]")?.setAttribute("aria-expanded", "false");
  row.remove();
};
const whyInPlace = async (event) => {
  const link = event.target.closest?.("a[data-why]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button) return;
  event.preventDefault();
  const row = link.closest("tr");
  if (row.nextElementSibling?.classList.contains("why")) return close(row.nextElementSibling);
  try {
    const why = (await page(link.href)).getElementById("why");
    if (row.nextElementSibling?.classList.contains("why")) return;
    const below = document.createElement("tr");
    const cell = below.insertCell();
    below.className = "why";
    cell.colSpan = row.cells.length;
    why.removeAttribute("id");
    cell.append(why);
    row.after(below);
    link.setAttribute("aria-expanded", "true");
  } catch {
    location.assign(link.href);
  }
};

const took = (micros) => {
  if (micros < 1000) return `${(micros / 1000).toFixed(2)} ms`;
  return micros < 100000 ? `${(micros / 1000).toFixed(1)} ms` : `${Math.floor(micros / 1000).toLocaleString("en")} ms`;
};
const small = (text) => {
  const element = document.createElement("small");
  element.textContent = text;
  return element;
};

// Queries as they come.
const tail = (body) => {
  const bar = document.getElementById("live");
  const [state, pause] = bar.children;
  const blank = document.getElementById("row").content.firstElementChild;
  const why = body.dataset.why;
  let source = null;
  let paused = false;
  let missed = 0;
  let waiting = [];
  let drawing = false;

  const say = (text, well) => {
    if (state.textContent !== text) state.textContent = text;
    state.className = `state ${well ? "ok" : "bad"}`;
  };
  const key = (row) => `${row.querySelector("time").dateTime} ${row.querySelector("a").textContent}`;
  const rowOf = (told) => {
    const row = blank.cloneNode(true);
    const [time, name, verdict, by, client, answer] = row.cells;
    const word = told.fate === "would-block" ? "would be" : told.fate;
    time.firstElementChild.dateTime = told.time;
    const link = name.querySelector("a");
    link.textContent = told.name || "(not understood)";
    name.querySelector("small").textContent = told.type ?? "";
    const asked = new URLSearchParams({ name: told.name ?? "", client: told.client ?? "" });
    if (why) {
      asked.set("time", told.time);
      link.dataset.why = "";
      link.href = `${why}?${asked}`;
    } else {
      if (told.type) asked.set("type", told.type);
      link.href = `/explain?${asked}`;
    }
    verdict.firstElementChild.classList.add(word[0]);
    verdict.firstElementChild.textContent = word;
    const said = told.verdicts ?? [];
    const outcome = told.fate.replace(/ed$/, "");
    const first = said.find((one) => one.acted) ?? said.find((one) => one.outcome === outcome) ?? said[0];
    const owner = told.fate === "excepted" ? told.owner : undefined;
    const others = said.length - 1 + (told.owner ? 1 : 0);
    by.textContent = owner ?? (first ? `${first.program}/${first.service} ` : "");
    if (others > 0) by.append(small(`+${others}`));
    client.textContent = told.client ?? "";
    if (told.client_name) client.append(" ", small(told.client_name + (told.client_name_by === "ptr" ? " by PTR" : "")));
    if (told.rcode === "NOERROR" && !told.dropped) answer.classList.add("fine");
    answer.append(`${told.dropped ? "no answer" : told.rcode} `, small(took(told.micros)));
    row.className = "new";
    localize(row);
    return row;
  };
  const draw = () => {
    drawing = false;
    const known = new Set(all("tr:not(.why)", body).map(key));
    const rows = waiting.map(rowOf).filter((row) => !known.has(key(row)));
    waiting = [];
    body.prepend(...rows.reverse());
    while (body.rows.length > ROWS_MAX) body.lastElementChild.remove();
    filled();
  };
  const filled = () => {
    if (!body.rows.length) return;
    body.closest("table").classList.remove("empty");
    document.getElementById("none")?.remove();
  };
  // What came while nobody looked, if it is recorded.
  const refresh = async () => {
    if (!why) return;
    try {
      const fresh = (await page(location.href)).getElementById("rows");
      const known = new Set(all("tr", fresh).map(key));
      const latest = fresh.querySelector("time")?.dateTime ?? "";
      const kept = all("tr", body).filter((row) => {
        const own = row.classList.contains("why") ? row.previousElementSibling : row;
        return own.classList.contains("new") && !known.has(key(own)) && own.querySelector("time").dateTime > latest;
      });
      if (!body.querySelector(".why")) body.replaceChildren(...kept, ...fresh.children);
      filled();
    } catch {
      // Next time.
    }
  };
  const open = () => {
    if (source || paused || document.hidden) return;
    say("connecting", true);
    source = new EventSource(body.dataset.tail);
    source.onopen = () => {
      say(missed ? `live; ${missed} more than can be shown` : "live", true);
      setTimeout(refresh, SETTLE_MS);
    };
    source.onerror = () => {
      say("no answer from cleandns", false);
      // Refused, as where too many look.
      if (source?.readyState === EventSource.CLOSED) {
        shut();
        setTimeout(open, TRY_AGAIN_MS);
      }
    };
    source.addEventListener("query", (event) => {
      waiting.push(JSON.parse(event.data));
      if (waiting.length > ROWS_MAX) waiting.shift();
      if (!drawing) requestAnimationFrame(draw);
      drawing = true;
    });
    source.addEventListener("missed", (event) => {
      missed += JSON.parse(event.data).rows;
      say(`live; ${missed.toLocaleString("en")} more than can be shown`, true);
    });
  };
  const shut = () => {
    source?.close();
    source = null;
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) {
      shut();
      say("paused", false);
    } else {
      open();
    }
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? shut() : open()));
  addEventListener("pagehide", shut);
  addEventListener("pageshow", open);
  bar.hidden = false;
  open();
};

// Typed times are this device's, asked for in UTC.
const typedTimes = () => {
  const fields = all("input[name=from], input[name=to]");
  for (const field of fields) {
    if (/Z$/.test(field.value)) field.value = shown.minute(new Date(field.value)).replace(" ", "T");
    field.form.addEventListener("submit", () => {
      const [, day, time] = field.value.trim().match(/^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?$/) ?? [];
      const at = day && new Date(`${day}T${time ?? "00:00"}`);
      if (at && !Number.isNaN(at.getTime())) field.value = at.toISOString();
    });
  }
  for (const told of all("[data-clock]")) told.textContent = "Times are by this device's clock.";
  for (const field of all("[type=datetime-local]")) {
    field.previousSibling.data = "or until (this device's clock)";
    field.form.addEventListener("submit", () => {
      const at = new Date(field.value);
      field.form.at.value = Number.isNaN(at.getTime()) ? "" : at.toISOString();
    });
  }
};

// Whether this device asks here: the server tells whether a name of its own was asked for.
const check = async (card) => {
  for (const part of all("[data-plain]", card)) part.hidden = true;
  for (const part of all("[data-scripted]", card)) part.hidden = false;
  // Whether it is reached doesn't matter.
  fetch(card.dataset.check, { credentials: "omit", cache: "no-store" }).catch(() => {});
  for (let tries = 0; tries < CHECKS_MAX; tries++) {
    await new Promise((done) => setTimeout(done, CHECK_MS));
    try {
      const now = (await page(card.dataset.look)).getElementById("device");
      if (now && !now.dataset.check) return card.replaceWith(now);
    } catch {
      // Next time.
    }
  }
};

// A server that was started anew takes no token of the one before.
document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  const { csrf } = form;
  if (!csrf || csrf.fresh || form.password) return;
  event.preventDefault();
  const told = await fetch("/api/v1/session").then((got) => got.json(), () => ({}));
  csrf.value = told.csrf ?? csrf.value;
  csrf.fresh = true;
  form.requestSubmit(submitter);
  csrf.fresh = false;
});
localize(document);
typedTimes();
if (document.querySelector("main [data-live]")) keepUp();
all("input[data-filter]").forEach(filter);
document.addEventListener("click", whyInPlace);
document.addEventListener("keydown", (event) => {
  const row = event.key === "Escape" && event.target.closest?.(".why");
  if (!row) return;
  const link = row.previousElementSibling.querySelector("a");
  close(row);
  link.focus();
});
const device = document.querySelector("[data-check]");
if (device) check(device);
const rows = document.querySelector("[data-tail]");
if (rows) tail(rows);
