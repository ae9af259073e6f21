"use strict";

// Everything that comes from the server is put into the page as text: there is no innerHTML, and the policy
// of the server forbids it. Markdown becomes elements that are made here; links to elsewhere stay text.

const find = (id) => document.getElementById(id);
const form = find("form"), field = find("question"), send = find("send"), stop = find("stop"), talk = find("talk");
const DEGRADED = { quoted: "Quoted from our documents.", cut: "A draft that did not come to its end was left out." };
const LEFT_OUT = "A draft that our documents do not bear out was left out.";
let thread = null;    // of this conversation, as the server named it
let running = null;   // aborts the answer that is coming
let pending = null;   // the card that waits for a decision

function add(parent, tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  parent.append(node);
  return node;
}

// What cannot be seen (control, direction and width marks) is written out, so that nothing hides in it.
function show(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`);
}

// What would turn the text around, or is no sign at all; other marks are part of writing.
function plain(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, show);
}

// --- Markdown ----------------------------------------------------------------------------------------------

const INLINE = /`([^`]+)`|\*\*((?:[^*]|\*(?!\*))+)\*\*|\*([^*\s](?:[^*]*[^*\s])?)\*|!?\[([^\[\]]*)\]\(([^()\s]*)\)|\[([^\[\]]+)\]/g;

function inline(parent, text, sources) {
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [all, code, bold, italic, label, url, cited] = match;
    parent.append(text.slice(end, match.index));
    end = match.index + all.length;
    if (code !== undefined) add(parent, "code", code);
    else if (bold !== undefined) inline(add(parent, "strong"), bold, sources);
    else if (italic !== undefined) inline(add(parent, "em"), italic, sources);
    else if (url !== undefined) parent.append(all.startsWith("!") ? label : label === url ? url : `${label} (${url})`);
    else if (sources.has(cited)) link(parent, `[${[...sources.keys()].indexOf(cited) + 1}]`, sources.get(cited), "cited");
    else parent.append(all);
  }
  parent.append(text.slice(end));
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function markdown(parent, text, sources) {
  parent.replaceChildren();
  const lines = plain(text).split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const take = (pattern) => {
      const from = at;
      while (at < lines.length && pattern.test(lines[at])) at++;
      return lines.slice(from, at);
    };
    const heading = /^(#{1,6}) +(.+)/.exec(line);
    if (!line.trim()) at++;
    else if (heading) inline(add(parent, heading[1].length < 3 ? "h3" : "h4"), heading[2], sources), at++;
    else if (/^```/.test(line)) {
      at++;
      add(parent, "pre", take(/^(?!```)/).join("\n"));
      at++;
    } else if (/^\s*([-*+]|\d+[.)]) +/.test(line)) {
      const list = add(parent, /^\s*\d/.test(line) ? "ol" : "ul");
      if (list.tagName === "OL") list.start = parseInt(line, 10);
      for (const item of take(/^\s*([-*+]|\d+[.)]) +/)) inline(add(list, "li"), item.replace(/^\s*([-*+]|\d+[.)]) +/, ""), sources);
    } else if (/^> ?/.test(line)) inline(add(parent, "blockquote"), take(/^> ?/).map((one) => one.replace(/^> ?/, "")).join(" "), sources);
    else if (/^\|/.test(line) && /^\|?[\s:|-]+$/.test(lines[at + 1] ?? "")) {
      const table = add(parent, "table");
      take(/^\|/).forEach((row, number) => {
        if (number === 1) return;
        const tr = add(table, "tr");
        for (const cell of cells(row)) inline(add(tr, number ? "td" : "th"), cell, sources);
      });
    } else {
      const first = lines[at++];
      const rest = take(/^(?!\s*$|#{1,6} |```|\s*([-*+]|\d+[.)]) +|> |\|)/);
      inline(add(parent, "p"), [first, ...rest].join(" "), sources);
    }
  }
}

// --- Sources -----------------------------------------------------------------------------------------------

function link(parent, text, source, name) {
  const node = add(parent, "a", text, name);
  node.href = `#${encodeURIComponent(source.id)}`;
  node.title = show(source.title);
  node.addEventListener("click", (event) => {
    event.preventDefault();
    find("source-title").textContent = show(source.title);
    find("source-text").textContent = plain(source.text) || "This is the file that you uploaded.";
    find("source").showModal();
  });
}

// --- Messages ----------------------------------------------------------------------------------------------

function scroll(node) {
  node.scrollIntoView({ block: "nearest" });
}

function answerCard() {
  const article = add(talk, "article", undefined, "message theirs");
  const view = { article, text: add(article, "div", "", "text draft"), working: add(article, "p", "thinking", "working"), draft: "" };
  article.ariaBusy = "true";
  scroll(article);
  return view;
}

function finish(view, reply) {
  const sources = new Map(reply.sources.map((source) => [source.id, source]));
  view.text.className = "text";
  markdown(view.text, reply.text, sources);
  if (reply.degraded) add(view.article, "p", DEGRADED[reply.degraded] ?? LEFT_OUT, "degraded");
  if (sources.size) {
    const list = add(view.article, "ul", undefined, "sources");
    list.ariaLabel = "Sources";
    [...sources.values()].forEach((source, number) => link(add(list, "li"), `[${number + 1}] ${show(source.title)}`, source));
  }
}

function fail(view, message) {
  view.text.className = "text bad";
  view.text.textContent = plain(message);
}

async function* events(response) {
  let rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const blocks = (rest + part.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block);
      yield [name, JSON.parse(data)];
    }
  }
}

async function receive(path, body, view) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify(body),
    signal: running.signal,
  });
  if (!response.ok) return fail(view, (await response.json()).error.message);
  for await (const [name, data] of events(response)) {
    if (name === "step") view.working.textContent = show(data.text);
    else if (name === "error") return fail(view, data.message);
    else {
      thread = data.thread;
      finish(view, data);
      if (name === "confirm") decide(view, data);
      return;
    }
    scroll(view.article);
  }
  fail(view, "The connection was lost in the middle of the answer.");
}

async function run(path, body) {
  const view = answerCard();
  running = new AbortController();
  send.hidden = true;
  stop.hidden = false;
  try {
    await receive(path, body, view);
  } catch (error) {
    fail(view, error.name === "AbortError" ? "Stopped." : "The server cannot be reached.");
  } finally {
    view.working.remove();
    view.article.ariaBusy = "false";
    running = null;
    send.hidden = false;
    stop.hidden = true;
    scroll(view.article);
    (pending?.cancel ?? field).focus();
  }
}

// The focus is on Cancel and Escape cancels: nothing is done by a hasty key.
function decide(view, reply) {
  const { name, arguments: given } = reply.pending;
  const card = add(view.article, "section", undefined, "message theirs pending");
  add(card, "h2", "Please confirm").id = `confirm-${talk.childElementCount}`;
  card.setAttribute("aria-labelledby", card.firstChild.id);
  const table = add(card, "table");
  for (const [key, value] of [["action", name.replaceAll("_", " ")], ...Object.entries(given)]) {
    const row = add(table, "tr");
    add(row, "th", show(key.replaceAll("_", " "))).scope = "row";
    add(row, "td", show(typeof value === "string" ? value : JSON.stringify(value)));
  }
  const row = add(card, "div", undefined, "row");
  const confirm = add(row, "button", "Confirm", "main"), cancel = add(row, "button", "Cancel");
  const close = (text) => {
    row.remove();
    add(card, "p", text, "decided");
    pending = null;
  };
  const choose = (approved) => {
    if (running) return;
    close(approved ? "You confirmed." : "You cancelled.");
    run("/v1/confirm", { thread: reply.thread, name, arguments: given, approved });
  };
  confirm.addEventListener("click", () => choose(true));
  cancel.addEventListener("click", () => choose(false));
  card.addEventListener("keydown", (event) => event.key === "Escape" && choose(false));
  pending = { cancel, close };
}

function ask(question) {
  if (running || !question.trim()) return;
  pending?.close("Not decided here."); // a plain yes confirms too
  find("welcome").hidden = true;
  add(talk, "div", plain(question.trim()), "message mine");
  run("/v1/ask", thread ? { question, thread } : { question });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return;
  const question = field.value;
  field.value = "";
  ask(question);
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
for (const example of find("examples").children) example.addEventListener("click", () => ask(example.textContent));
stop.addEventListener("click", () => running?.abort());
find("new").addEventListener("click", () => {
  running?.abort();
  thread = pending = null;
  talk.replaceChildren();
  find("welcome").hidden = false;
  field.focus();
});
