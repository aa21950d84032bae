// The live board. It asks for the contests, listens to the stream of one, and
// after a change of the board looks at the newest votes, at most once a second.
const words = {
  es: {
    skip: "Ir al tablero", contest: "Concurso", board: "Tablero", newest: "Últimos votos", place: "Lugar", band: "Banda",
    votes: "Votos", points: "Puntos", mean: "Promedio", share: "Parte", api: "Interfaz para programas",
    on: "En vivo", off: "Sin conexión: se intenta de nuevo", loading: "Conectando…", albums: "Discos", noAlbum: "(sin disco)",
    totals: (v, b, a) => `${v} votos contados, ${b} bandas, ${a} discos`, none: "Todavía no hay votos.",
    counted: "contado", duplicate: "repetido", over_limit: "sobre el límite", refused: "rechazado", dead: "no se pudo tratar",
    empty: "No hay concursos.", rank: (n) => `puesto ${n}`, statement: "Acta final",
    draft: "La votación aún no abre.", open: "La votación está abierta.",
    closed: "La votación cerró. El resultado es provisional hasta contar el último voto.", final: "El resultado es definitivo.",
  },
  en: {
    skip: "Go to the board", contest: "Contest", board: "Board", newest: "Newest votes", place: "Place", band: "Band",
    votes: "Votes", points: "Points", mean: "Mean", share: "Share", api: "Interface for programs",
    on: "Live", off: "Not connected: trying again", loading: "Connecting…", albums: "Records", noAlbum: "(no record)",
    totals: (v, b, a) => `${v} votes counted, ${b} bands, ${a} records`, none: "No votes yet.",
    counted: "counted", duplicate: "duplicate", over_limit: "over the limit", refused: "refused", dead: "could not be handled",
    empty: "There are no contests.", rank: (n) => `rank ${n}`, statement: "Final statement",
    draft: "Voting has not opened yet.", open: "Voting is open.",
    closed: "Voting has closed. The result is provisional until the last vote is counted.", final: "The result is final.",
  },
};

const at = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const state = { lang: chosenLanguage(), contests: [], contest: "", board: null, rows: [], source: null, live: "loading", timer: 0, fetched: 0 };

function chosenLanguage() {
  const wanted = [asked.get("lang"), remembered(), ...navigator.languages].filter(Boolean);
  const known = wanted.map((w) => w.slice(0, 2).toLowerCase()).find((w) => w in words);
  return known ?? "es";
}

function remembered() {
  try { return localStorage.getItem("lang"); } catch { return null; }
}

// element makes an element. Text is always text: names come from voters.
function element(tag, props = {}, ...children) {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...children);
  return made;
}

function showWords() {
  const w = words[state.lang];
  document.documentElement.lang = state.lang;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = w[node.dataset.text];
  const other = state.lang === "es" ? "en" : "es";
  at("language").textContent = other === "en" ? "English" : "Español";
  at("language").lang = other;
  at("contest").replaceChildren(...state.contests.map((c) =>
    element("option", { value: c.id, textContent: c.title[state.lang], selected: c.id === state.contest })));
  const shown = state.contests.find((c) => c.id === state.contest);
  at("title").textContent = shown ? shown.title[state.lang] : w.empty;
  document.title = shown ? `${shown.title[state.lang]} · Marimba` : "Marimba";
  showLive();
  showBoard();
  showNewest();
}

function showLive() {
  at("live").textContent = words[state.lang][state.live];
  at("live").className = `live ${state.live}`;
}

function showBoard() {
  const { board, lang } = state;
  if (!board) return;
  const w = words[lang];
  const number = new Intl.NumberFormat(lang === "es" ? "es-GT" : "en");
  const mean = new Intl.NumberFormat(lang === "es" ? "es-GT" : "en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const share = new Intl.NumberFormat(lang === "es" ? "es-GT" : "en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const statement = `/v1/contests/${encodeURIComponent(board.contest)}/statement`;
  const link = board.phase === "final" ? [" ", element("a", { href: statement }, w.statement)] : [];
  const text = w[board.phase];
  // It is read aloud when it changes, so it is not written anew with each vote.
  if (at("phase").dataset.said !== text) at("phase").replaceChildren(text, ...link);
  at("phase").dataset.said = text;
  at("phase").className = `phase ${board.phase}`;
  const t = board.totals;
  at("totals").textContent = t.votes ? w.totals(number.format(t.votes), number.format(t.bands), number.format(t.albums)) : w.none;
  const hasPoints = board.bands.some((b) => b.points !== null);
  at("points-head").hidden = !hasPoints;
  const top = Math.max(1, ...board.bands.map((b) => (hasPoints ? b.points : b.votes)));
  const open = new Set([...document.querySelectorAll("#board details[open]")].map((d) => d.dataset.band));
  const rows = board.bands.map((band) => {
    const name = element("th", { scope: "row" }, band.name);
    const value = hasPoints ? band.points : band.votes;
    name.append(element("meter", { min: 0, max: top, value, ariaHidden: "true" }));
    if (band.albums.length) {
      const list = element("ul", {}, ...band.albums.map((a) =>
        element("li", {}, `${a.album || w.noAlbum}: ${number.format(a.votes)}`)));
      const details = element("details", { open: open.has(band.name) }, element("summary", {}, `${w.albums} (${number.format(band.albums_total)})`), list);
      details.dataset.band = band.name;
      name.append(details);
    }
    const row = element("tr", { className: band.place === 1 && band.votes ? "leads" : "" },
      element("td", { className: "place" }, number.format(band.place)), name,
      element("td", { className: "number" }, number.format(band.votes)));
    const points = element("td", { className: "number optional", hidden: !hasPoints }, hasPoints ? number.format(band.points) : "");
    row.append(points,
      element("td", { className: "number optional" }, band.mean === null ? "–" : mean.format(band.mean)),
      element("td", { className: "number" }, share.format(band.share)));
    return row;
  });
  const focused = document.activeElement?.closest?.("#board details")?.dataset.band;
  document.querySelector("#board tbody").replaceChildren(...rows);
  if (focused) {
    const again = [...document.querySelectorAll("#board details")].find((d) => d.dataset.band === focused);
    again?.querySelector("summary").focus();
  }
}

function showNewest() {
  const w = words[state.lang];
  const clock = new Intl.DateTimeFormat(state.lang === "es" ? "es-GT" : "en", { timeStyle: "medium" });
  const items = state.rows.map((r) => element("li", {},
    element("time", { dateTime: r.at }, clock.format(new Date(r.at))),
    element("span", {}, element("strong", {}, r.name), r.album ? ` · ${r.album}` : "", ` · ${w.rank(r.rank)}`),
    element("span", { className: `state ${r.state}` }, w[r.state] ?? r.state)));
  at("newest").replaceChildren(...(items.length ? items : [element("li", {}, w.none)]));
}

async function fetchNewest() {
  state.timer = 0;
  state.fetched = Date.now();
  const of = state.contest;
  try {
    const answer = await fetch(`/logs?limit=20&contest=${encodeURIComponent(of)}`);
    if (!answer.ok || of !== state.contest) return;
    state.rows = (await answer.json()).rows;
    showNewest();
  } catch {
    // The stream says that the connection is lost.
  }
}

// The log follows the board by a moment: look after it, but not more than once a second.
function newestSoon() {
  if (state.timer) return;
  state.timer = setTimeout(fetchNewest, Math.max(300, 1000 - (Date.now() - state.fetched)));
}

function listen() {
  state.source?.close();
  state.live = "loading";
  const source = new EventSource(`/v1/contests/${encodeURIComponent(state.contest)}/stream`);
  state.source = source;
  source.addEventListener("open", () => { state.live = "on"; showLive(); newestSoon(); });
  source.addEventListener("error", () => {
    state.live = "off";
    showLive();
    // Browsers come back by themselves after a lost connection, but not after an answer of 503.
    if (source.readyState === EventSource.CLOSED && source === state.source) setTimeout(() => source === state.source && listen(), 3000);
  });
  source.addEventListener("board", (event) => {
    state.board = JSON.parse(event.data);
    showBoard();
    newestSoon();
  });
}

function choose(contest) {
  state.contest = contest;
  state.board = null;
  state.rows = [];
  document.querySelector("#board tbody").replaceChildren();
  at("phase").replaceChildren();
  delete at("phase").dataset.said;
  showWords();
  if (contest) listen();
}

at("contest").addEventListener("change", (event) => {
  history.replaceState(null, "", `?contest=${encodeURIComponent(event.target.value)}`);
  choose(event.target.value);
});
at("language").addEventListener("click", () => {
  state.lang = state.lang === "es" ? "en" : "es";
  try { localStorage.setItem("lang", state.lang); } catch { /* it is chosen for this visit */ }
  showWords();
});

async function start() {
  showWords();
  try {
    state.contests = (await (await fetch("/v1/contests")).json()).contests;
  } catch {
    state.live = "off";
    showLive();
    setTimeout(start, 3000);
    return;
  }
  const ids = state.contests.map((c) => c.id);
  choose(ids.includes(asked.get("contest")) ? asked.get("contest") : ids.find((id) => id !== "default") ?? ids[0] ?? "");
}

start();
