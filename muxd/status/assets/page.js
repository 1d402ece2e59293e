"use strict";
/*
 * The page of a daemon: everything comes by /api/events, and every text is set as text, since
 * phones and programs choose their own names.  Only what has changed is touched.
 */

const MINUTES = 5;
const ROWS = 100;
const TRUST = {
  "trusted": ["trusts this computer", "good"],
  "waiting": ["waits for a tap on Trust", "warning"],
  "locked": ["is locked", "warning"],
  "denied": ["does not trust this computer", "warning"],
  "disputed": ["claims another phone's UDID", "error"],
  "unproved": ["has not proved who it is", "error"],
  "unsure": ["pair record unsure", "warning"],
  "resting": ["does not answer", "warning"],
  "restoring": ["is being restored", "warning"],
};
const ENDING = {
  "half-closing": "program has finished sending", "half-closed": "program has finished sending",
  "flushing": "program has gone", "draining": "phone has finished",
};

const byId = (id) => document.getElementById(id);
const state = {
  phones: new Map(), sessions: new Map(), history: [], carried: new Map(), rates: new Map(),
  fleet: null, fleetPhones: [], fleetFilter: "",
  chosen: null, filter: "", time: null, began: null, listed: [],
};

function made(tag, className) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds % 86400 / 3600)} h`;
}

function many(count, one, more) {
  return `${count} ${count === 1 ? one : more}`;
}

/* What comes. */

function stateCame(values) {
  say(byId("version"), values.version);
  state.began = performance.now() - values.uptime * 1000;
  state.history = values.history.map(([, up, down]) => [up, down]);
  state.carried.clear();
  state.rates.clear();
  state.time = null;
  state.sessions.clear();
  for (const session of values.sessions) sessionOpened(session);
  phonesCame(values.phones);
  for (const phone of values.phones) {
    if (phone.counters) state.carried.set(String(phone.id), [phone.counters.bytesSent, phone.counters.bytesReceived]);
  }
  problemsCame(values.problems);
  sourcesCame(values.sources);
  listeningCame(values.listening);
  limitsCame(values.limits);
  if (values.fleet) {
    state.fleetPhones = values.fleetPhones;
    fleetCame(values.fleet);
  }
  show();
}

function sessionOpened(session) {
  session.since = performance.now() - session.age * 1000;
  session.rate = 0;
  state.sessions.set(session.name, session);
}

function tickCame(values) {
  const passed = state.time === null ? 1 : Math.max(values.time - state.time, 0.1);
  state.time = values.time;
  let up = 0;
  let down = 0;
  const carried = new Map();
  state.rates.clear();
  for (const [id, [sent, received]] of Object.entries(values.phones)) {
    const [sentBefore, receivedBefore] = state.carried.get(id) || [0, 0];
    carried.set(id, [sent, received]);
    up += sent - sentBefore;
    down += received - receivedBefore;
    state.rates.set(id, (sent - sentBefore + received - receivedBefore) / passed);
  }
  state.carried = carried;
  state.history.push([up / passed, down / passed]);
  if (state.history.length > MINUTES * 60) state.history.splice(0, state.history.length - MINUTES * 60);
  for (const name of values.closed) state.sessions.delete(name);
  for (const session of state.sessions.values()) session.rate = 0;
  for (const session of values.opened) sessionOpened(session);
  for (const [name, [sent, received, held, stalls]] of Object.entries(values.moved)) {
    const session = state.sessions.get(name);
    if (!session) continue;
    session.rate = (sent - session.toPhone + received - session.fromPhone) / passed;
    Object.assign(session, { toPhone: sent, fromPhone: received, held, stalls });
  }
  show();
}

/* What is shown. */

function problemsCame(problems) {
  const list = byId("problems");
  const items = problems.map((problem) => {
    const item = made("li", problem.severity === "error" ? "error" : "warning");
    const text = made("span", "text");
    text.textContent = (problem.severity === "error" ? "Error: " : "Note: ") + problem.text;
    item.append(text);
    if (problem.remedy) {
      const remedy = made("span", "remedy");
      remedy.textContent = `To do: ${problem.remedy}`;
      item.append(remedy);
    }
    return item;
  });
  if (!items.length) {
    const item = made("li", "good");
    item.textContent = "Nothing is wrong.";
    items.push(item);
  }
  list.replaceChildren(...items);
  state.problems = problems.length;
  showTitle();
}

function showTitle() {
  const program = state.fleet ? "muxhub" : "usbmuxd";
  document.title = state.problems ? `(${state.problems}) ${program}` : program;
  say(byId("program"), program);
}

/* Of a hub. */

function fleetCame(fleet) {
  state.fleet = fleet;
  byId("fleet").hidden = false;
  for (const id of ["traffic-section", "phones-section", "sessions-section"]) byId(id).hidden = true;
  byId("fleet-stale").hidden = fleet.fresh;
  filled("hosts", fleet.hosts.map((host) => [
    host.name, host.door, String(host.phones), String(host.reserved),
    [host.draining && "gives no more phones", !host.here && "connected to another hub, or lost"].filter(Boolean).join("; ") || "—",
  ]));
  filled("reservations", fleet.reservations.map((one) => [one.user, one.udid, one.host, one.reason || "—"]));
  filled("waiting", fleet.waiting.map((one) => [
    one.user, one.wants || "any phone", one.reason || "—", new Date(one.until * 1000).toLocaleTimeString(),
  ]));
  showTitle();
  showFleetPhones();
  show();
}

function fleetPhonesCame(phones) {
  state.fleetPhones = phones;
  if (state.fleet) showFleetPhones();
}

function showFleetPhones() {
  const jobs = new Map(state.fleet.reservations.map((one) => [one.udid, one.user]));
  const shown = [];
  for (const [udid, host, name, model, version, labels] of state.fleetPhones) {
    const row = [
      [labels.join(", "), name].filter(Boolean).join(": ") || "—", udid,
      [model, version && `iOS ${version}`].filter(Boolean).join(", ") || "—", host, jobs.get(udid) || "",
    ];
    if (!state.fleetFilter || row.some((text) => text.toLowerCase().includes(state.fleetFilter))) shown.push(row);
  }
  const all = state.fleetPhones.length;
  filled("fleet-phones", shown.slice(0, ROWS), all);
  let more = "";
  if (!all) more = "No host has announced a phone.";
  else if (!shown.length) more = "None of the phones is like that.";
  else if (shown.length > ROWS) more = `and ${shown.length - ROWS} more: narrow it down above`;
  say(byId("fleet-phones-more"), more);
}

function filled(id, rows, count = rows.length) {
  const body = byId(id);
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((texts, index) => {
    const row = body.rows[index] || body.insertRow();
    texts.forEach((text, cell) => say(row.cells[cell] || row.insertCell(), text));
  });
  say(byId(`${id}-count`), count ? `(${count})` : "(none)");
}

function phonesCame(phones) {
  const list = byId("phones");
  const present = new Set(phones.map((phone) => phone.id));
  for (const [id, card] of state.phones) {
    if (!present.has(id)) {
      card.item.remove();
      state.phones.delete(id);
      if (state.chosen === id) choose(null);
    }
  }
  for (const phone of phones) {
    let card = state.phones.get(phone.id);
    if (!card) {
      card = makeCard(phone.id);
      state.phones.set(phone.id, card);
      list.append(card.item);
    }
    card.phone = phone;
    const [trust, kind] = TRUST[phone.trust] || [phone.trust || "", ""];
    say(card.name, nameOf(phone));
    say(card.model, [phone.model, phone.version && `iOS ${phone.version}`].filter(Boolean).join(", ") || "—");
    say(card.udid, phone.udid);
    say(card.place, [phone.portPath && `at ${phone.portPath}`, phone.host && `of ${phone.host}`, phone.connection, phone.simulated && "simulated", !phone.listed && "not listed yet"].filter(Boolean).join(", "));
    say(card.trust, trust || "trust unknown");
    card.button.className = kind;
  }
  byId("phones-none").hidden = phones.length > 0;
  say(byId("phones-count"), phones.length ? `(${phones.length})` : "");
}

function nameOf(phone) {
  return [phone.labels && phone.labels.join(", "), phone.name || phone.kind].filter(Boolean).join(": ") || phone.udid;
}

function makeCard(id) {
  const item = made("li");
  const button = made("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => choose(state.chosen === id ? null : id));
  const card = { item, button };
  for (const part of ["name", "model", "udid", "place", "trust", "use"]) {
    card[part] = made("span", part === "name" ? "name" : `detail ${part}`);
    button.append(card[part]);
  }
  item.append(button);
  return card;
}

function choose(id) {
  state.chosen = id;
  for (const [other, card] of state.phones) card.button.setAttribute("aria-pressed", String(other === id));
  byId("all").hidden = id === null;
  show();
}

function show() {
  showPhones();
  showSessions();
  showTraffic();
  const uptime = state.began === null ? "" : `, up ${duration((performance.now() - state.began) / 1000)}`;
  if (state.fleet) {
    const fleet = state.fleet;
    say(byId("summary"), `${many(fleet.phones, "phone", "phones")} of ${many(fleet.hosts.length, "host", "hosts")}, ${fleet.reserved} reserved, ${many(fleet.waiting.length, "job waits", "jobs wait")}${uptime}`);
    return;
  }
  say(byId("summary"), `${many(state.phones.size, "phone", "phones")}, ${many(state.sessions.size, "session", "sessions")}${uptime}`);
}

function showPhones() {
  const counts = new Map();
  for (const session of state.sessions.values()) counts.set(session.phone, (counts.get(session.phone) || 0) + 1);
  for (const [id, card] of state.phones) {
    const rate = state.rates.get(String(id)) || 0;
    say(card.use, many(counts.get(id) || 0, "session", "sessions") + (rate >= 1 ? `, ${bytes(rate)}/s` : ""));
  }
}

function isShown(session) {
  if (state.chosen !== null && session.phone !== state.chosen) return false;
  if (!state.filter) return true;
  const card = state.phones.get(session.phone);
  const phone = card && card.phone;
  return [programOf(session), session.udid, String(session.port), phone && nameOf(phone)]
    .some((text) => text && text.toLowerCase().includes(state.filter));
}

function programOf(session) {
  const peer = session.peer;
  if (peer.pid !== undefined) return `${peer.program || "?"} (${peer.pid})`;
  return peer.program || peer.address || "?";
}

function stateOf(session) {
  if (session.held > 0) return `program does not read (${bytes(session.held)} wait)`;
  const doing = session.rate >= 1 ? "moving" : "quiet";
  const ending = ENDING[session.state];
  return ending ? `${doing}; ${ending}` : doing;
}

function showSessions() {
  const body = byId("sessions");
  const shown = [];
  for (const session of state.sessions.values()) if (isShown(session)) shown.push(session);
  shown.sort((one, other) => other.rate - one.rate || (other.held > 0) - (one.held > 0) || one.since - other.since);
  const rows = Math.min(shown.length, ROWS);
  while (body.rows.length > rows) body.deleteRow(-1);
  while (body.rows.length < rows) {
    const row = body.insertRow();
    for (let cell = 0; cell < 8; cell += 1) row.insertCell();
  }
  const now = performance.now();
  for (let index = 0; index < rows; index += 1) {
    const session = shown[index];
    const cells = body.rows[index].cells;
    const card = state.phones.get(session.phone);
    const phone = card ? card.phone : null;
    say(cells[0], programOf(session));
    say(cells[1], phone ? nameOf(phone) : session.udid);
    say(cells[2], String(session.port));
    say(cells[3], duration((now - session.since) / 1000));
    say(cells[4], bytes(session.toPhone));
    say(cells[5], bytes(session.fromPhone));
    say(cells[6], session.rate >= 1 ? `${bytes(session.rate)}/s` : "");
    say(cells[7], stateOf(session));
  }
  say(byId("sessions-count"), state.sessions.size ? `(${state.sessions.size})` : "");
  let more = "";
  if (!state.sessions.size) more = "No program is connected to a phone.";
  else if (!shown.length) more = "None of the sessions is like that.";
  else if (shown.length > rows) more = `and ${shown.length - rows} more, which move less: narrow it down above`;
  say(byId("sessions-more"), more);
}

function path(values, most) {
  const width = 600;
  const step = width / (MINUTES * 60 - 1);
  const left = width - (values.length - 1) * step;
  return values.map((value, index) =>
    `${index ? "L" : "M"}${(left + index * step).toFixed(1)} ${(148 - 146 * value / most).toFixed(1)}`).join("");
}

function showTraffic() {
  const ups = state.history.map(([up]) => up);
  const downs = state.history.map(([, down]) => down);
  const most = Math.max(1000, ...ups, ...downs);
  byId("traffic-up").setAttribute("d", path(ups, most));
  byId("traffic-down").setAttribute("d", path(downs, most));
  say(byId("traffic-most"), `top of the scale: ${bytes(most)}/s`);
  const last = state.history[state.history.length - 1] || [0, 0];
  say(byId("traffic-now"), `now ${bytes(last[1])}/s from phones (solid), ${bytes(last[0])}/s to phones (dashed)`);
}

function listed(id, lines) {
  byId(id).replaceChildren(...lines.map((line) => {
    const item = made("li");
    item.textContent = line;
    return item;
  }));
}

function sourcesCame(sources) {
  listed("sources", sources.map((source) => [
    source.description, source.running ? "" : "NOT RUNNING", source.library, source.engine && `engine ${source.engine}`,
    source.problem,
  ].filter(Boolean).join(" — ")));
}

function listeningCame(listening) {
  listed("listening", listening.map((place) => [place.place, place.view && `view ${place.view}`, place.exposed && "other machines can reach it"].filter(Boolean).join(" — ")));
}

function limitsCame(limits) {
  byId("limits").replaceChildren(...limits.map((limit) => {
    const item = made("li");
    const label = made("label");
    label.textContent = `${limit.name}: ${limit.used}${limit.most === null ? "" : ` of ${limit.most}`}`;
    item.append(label);
    if (limit.most !== null) {
      const meter = made("meter");
      meter.max = limit.most;
      meter.high = limit.most * 0.8;
      meter.optimum = 0;
      meter.value = limit.used;
      label.append(meter);
    }
    return item;
  }));
}

/* How it begins. */

function watch() {
  const events = new EventSource("api/events");
  const handlers = {
    state: stateCame, tick: tickCame, phones: phonesCame, problems: problemsCame,
    sources: sourcesCame, listening: listeningCame, limits: limitsCame,
    fleet: fleetCame, fleetPhones: fleetPhonesCame,
  };
  for (const [name, handle] of Object.entries(handlers)) {
    events.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  }
  const connection = byId("connection");
  events.addEventListener("open", () => {
    say(connection, "Live");
    connection.className = "";
  });
  events.addEventListener("error", () => {
    say(connection, "The daemon does not answer; trying again…");
    connection.className = "lost";
    // A browser gives up for good after an answer that is an error.
    if (events.readyState === EventSource.CLOSED) setTimeout(watch, 3000);
  });
}

byId("filter").addEventListener("input", (event) => {
  state.filter = event.target.value.trim().toLowerCase();
  showSessions();
});
byId("fleet-filter").addEventListener("input", (event) => {
  state.fleetFilter = event.target.value.trim().toLowerCase();
  showFleetPhones();
});
byId("all").addEventListener("click", () => {
  const chosen = state.phones.get(state.chosen);
  choose(null);
  if (chosen) chosen.button.focus();
});
watch();
