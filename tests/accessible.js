// What of a page somebody can't see, reach, hear or understand: run in the page by tests/full.d/accessible.sh, returns a
// list of sentences, empty if all is well. Numbers are those of WCAG 2.2, level AA.
const problems = [];
const shown = (part) => part.outerHTML.replace(/\s+/g, " ").slice(0, 110);
const told = (what, part) => problems.push(part ? `${what}: ${shown(part)}` : what);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const isHidden = (part) => !part.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
const isUnheard = (part) => isHidden(part) || part.closest("[aria-hidden=true], [hidden]");
const words = (part) => part.innerText === undefined ? part.textContent : part.innerText;

// Names (4.1.2, 1.1.1, 2.4.4, 2.5.3): what is said of a thing by whoever reads the page aloud.
const within = (part) => {
  if (part.nodeType === Node.TEXT_NODE) return part.data;
  if (part.nodeType !== Node.ELEMENT_NODE || part.getAttribute("aria-hidden") === "true") return "";
  if (part.hasAttribute("aria-label")) return part.getAttribute("aria-label");
  if (part.tagName === "IMG") return part.alt;
  if (["INPUT", "SELECT", "TEXTAREA", "SCRIPT", "STYLE"].includes(part.tagName)) return "";
  return [...part.childNodes].map(within).join(" ");
};
const name = (part) => {
  const by = (part.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean);
  const named = by.map((id) => document.getElementById(id)).map((other) => other ? within(other) : "").join(" ").trim();
  if (named) return named;
  if (part.getAttribute("aria-label")?.trim()) return part.getAttribute("aria-label").trim();
  const labels = [...(part.labels ?? [])].map(within).join(" ").trim();
  if (labels) return labels;
  if (["submit", "button", "reset"].includes(part.type) && part.tagName === "INPUT") return part.value.trim();
  if (["INPUT", "SELECT", "TEXTAREA"].includes(part.tagName)) return (part.title ?? "").trim();
  return within(part).trim() || (part.title ?? "").trim();
};
for (const part of all("input:not([type=hidden]), select, textarea, button, a[href], summary, [role=button], [role=region], dialog, iframe")) {
  if (!isUnheard(part) && !name(part)) told("has no name", part);
}
for (const part of all("[aria-label]")) {
  const text = (words(part) ?? "").trim().toLowerCase();
  if (part.matches("button, a, summary") && text && !part.getAttribute("aria-label").toLowerCase().includes(text)) {
    told("is called otherwise than what it shows (2.5.3)", part);
  }
}
for (const part of all("img")) if (!part.hasAttribute("alt")) told("has no alt", part);
for (const part of all("svg")) {
  const isSilent = part.closest("[aria-hidden=true]");
  const isNamed = part.getAttribute("role") === "img" && name(part);
  if (!isSilent && !isNamed) told("a drawing is neither hidden nor role=img with a name", part);
}
const tied = new Map();
for (const part of all("main button")) {
  // The same word twice has to do the same, or something around it says of what it is.
  const form = part.form ?? document.body;
  const key = `${name(part)}`;
  if (!tied.has(key)) tied.set(key, new Set());
  tied.get(key).add(`${form.action} ${part.name} ${part.value}`);
}

// Structure (1.3.1, 2.4.1, 2.4.2, 2.4.6, 3.1.1, 1.4.4).
const root = document.documentElement;
if (!/^[a-z]{2,3}(-|$)/.test(root.lang)) told("no language");
if (!document.title.trim()) told("no title");
const viewport = document.querySelector("meta[name=viewport]")?.content ?? "";
if (!viewport.includes("width=device-width") || /user-scalable\s*=\s*no|maximum-scale/.test(viewport)) told("can't be enlarged, or has no width");
const mains = all("main, [role=main]").filter((part) => !isHidden(part));
if (mains.length !== 1) told(`${mains.length} main parts`);
const heads = all("h1, h2, h3, h4, h5, h6").filter((part) => !isUnheard(part));
if (heads.filter((part) => part.tagName === "H1").length !== 1) told("not one first heading");
if (heads.length && heads[0].tagName !== "H1") told("begins with another heading", heads[0]);
heads.reduce((before, part) => {
  const level = Number(part.tagName[1]);
  if (level > before + 1) told("a heading skips a level", part);
  if (!within(part).trim()) told("an empty heading", part);
  return level;
}, 0);
for (const kind of ["nav", "aside", "section[aria-label]", "[role=region]"]) {
  const same = all(kind).filter((part) => !isUnheard(part));
  const names = same.map(name);
  if (kind === "nav" && same.length > 1 && names.some((own) => !own)) told("one of several navigations has no name", same[names.indexOf("")]);
}
const isLandmark = "main, header, footer, nav, aside, [role=region], [role=banner]";
for (const part of document.body.children) {
  if (!part.matches(`${isLandmark}, script, .skip`) && !isHidden(part) && words(part)?.trim()) told("stands outside all landmarks", part);
}
if (document.querySelector("nav")) {
  const first = document.querySelector("a[href], button, input:not([type=hidden])");
  const aim = first?.getAttribute("href");
  if (!aim?.startsWith("#") || !document.querySelector(aim)) told("the first link doesn't lead past the navigation", first);
}
const ids = new Set();
for (const part of all("[id]")) {
  if (ids.has(part.id)) told("an id is there twice", part);
  ids.add(part.id);
}
for (const attribute of ["for", "aria-labelledby", "aria-describedby", "aria-controls", "headers", "list", "aria-owns"]) {
  for (const part of all(`[${attribute}]`)) {
    for (const id of part.getAttribute(attribute).split(/\s+/)) if (!ids.has(id)) told(`${attribute} leads nowhere`, part);
  }
}
for (const part of all("ul, ol")) {
  const other = [...part.children].find((child) => !child.matches("li, script, template"));
  if (other) told("in a list, and no item of it", other);
}
for (const part of all("li")) if (!part.parentElement.matches("ul, ol, menu")) told("an item of no list", part);
for (const part of all("dl")) {
  const other = [...part.children].find((child) => !child.matches("dt, dd, div, script, template"));
  if (other) told("in a list of terms, and none of it", other);
}
for (const part of all("fieldset")) if (!part.querySelector("legend")?.textContent.trim()) told("a group of fields without a name", part);
const roles = ["alert", "status", "img", "region", "group", "search", "note", "list", "log", "navigation", "main", "none", "presentation", "switch", "tab", "tablist", "tabpanel", "dialog", "button"];
for (const part of all("[role]")) if (!roles.includes(part.getAttribute("role"))) told("an unknown role", part);
const states = { "aria-pressed": ["true", "false", "mixed"], "aria-expanded": ["true", "false"], "aria-hidden": ["true", "false"], "aria-invalid": ["true", "false"],
  "aria-current": ["page", "step", "location", "date", "time", "true", "false"], "aria-live": ["polite", "assertive", "off"], "aria-busy": ["true", "false"] };
for (const [attribute, values] of Object.entries(states)) {
  for (const part of all(`[${attribute}]`)) if (!values.includes(part.getAttribute(attribute))) told(`${attribute} says nothing known`, part);
}
for (const part of all("[aria-hidden=true]")) if (part.matches("a[href], button, input") || part.querySelector("a[href], button, input, select")) told("can be reached and isn't heard", part);

// Tables (1.3.1).
for (const table of all("table")) {
  if (isHidden(table)) continue;
  const heading = table.querySelector("th");
  if (!heading) told("a table without headings", table);
  for (const part of all("th", table)) if (!["col", "row", "colgroup", "rowgroup"].includes(part.getAttribute("scope"))) told("a heading that doesn't say of what", part);
  for (const part of all("thead th", table)) if (!within(part).trim()) told("an empty heading of a column", part);
}

// Fields that hold something of the person say so (1.3.5).
for (const part of all("input[type=password]")) if (!part.autocomplete) told("a password that no browser can fill in", part);

// The keyboard (2.1.1, 2.4.3).
for (const part of all("[tabindex]")) if (Number(part.getAttribute("tabindex")) > 0) told("goes before its turn", part);
for (const part of all("[onclick], [role=button]")) if (part.tabIndex < 0) told("only for a mouse", part);
for (const part of all("body *")) {
  const style = getComputedStyle(part);
  const scrolls = ["auto", "scroll"].includes(style.overflowX) && part.scrollWidth > part.clientWidth + 1 ||
    ["auto", "scroll"].includes(style.overflowY) && part.scrollHeight > part.clientHeight + 1;
  if (scrolls && !isHidden(part) && part.tabIndex < 0 && !part.querySelector("a[href], button, input, select, summary")) told("scrolls for a mouse alone", part);
}

// Colours (1.4.3, 1.4.11, 1.4.1).
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const brush = canvas.getContext("2d", { willReadFrequently: true });
const known = new Map();
const colour = (text) => {
  if (!known.has(text)) {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = text;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    known.set(text, [r, g, b, a / 255]);
  }
  return known.get(text);
};
const over = ([r, g, b, a], below) => [r, g, b].map((part, at) => part * a + below[at] * (1 - a)).concat(1);
const behind = (part) => {
  const layers = [];
  for (let at = part; at; at = at.parentElement) {
    const own = colour(getComputedStyle(at).backgroundColor);
    layers.push(own);
    if (own[3] === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [...colour(getComputedStyle(root).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff").slice(0, 3), 1]);
};
const light = ([r, g, b]) => {
  const part = (octet) => octet / 255 <= 0.04045 ? octet / 255 / 12.92 : ((octet / 255 + 0.055) / 1.055) ** 2.4;
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const contrast = (one, other) => {
  const [more, less] = [light(one), light(other)].sort((a, b) => b - a);
  return (more + 0.05) / (less + 0.05);
};
const opacity = (part) => {
  let all = 1;
  for (let at = part; at; at = at.parentElement) all *= Number(getComputedStyle(at).opacity);
  return all;
};
const ink = (part, style = getComputedStyle(part)) => {
  const below = behind(part);
  const [r, g, b, a] = colour(part.closest("svg") ? style.fill : style.color);
  return [over([r, g, b, a * opacity(part)], below), below];
};
const isOut = (part) => {
  const box = part.getBoundingClientRect();
  return box.width <= 1 || box.height <= 1 || part.closest(".out, :disabled, [aria-disabled=true]");
};
const tellContrast = (part, is, least, what) => {
  if (is < least - 0.005) told(`${what} has a contrast of ${is.toFixed(2)}, below ${least}`, part);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const seen = new Set();
for (let text = walker.nextNode(); text; text = walker.nextNode()) {
  const part = text.parentElement;
  if (!text.data.trim() || seen.has(part) || part.closest("script, style, template, option, title, desc") || isHidden(part) || isOut(part)) continue;
  seen.add(part);
  const style = getComputedStyle(part);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
  const [front, back] = ink(part, style);
  tellContrast(part, contrast(front, back), isLarge ? 3 : 4.5, "text");
}
for (const part of all("input:not([type=hidden]), select, textarea, button")) {
  if (isHidden(part) || isOut(part)) continue;
  const style = getComputedStyle(part);
  const around = behind(part.parentElement);
  if (part.placeholder) tellContrast(part, contrast(over(colour(getComputedStyle(part, "::placeholder").color), behind(part)), behind(part)), 4.5, "a placeholder");
  if (part.matches("select, input:not([type=checkbox], [type=radio])")) tellContrast(part, contrast(over(colour(style.color), behind(part)), behind(part)), 4.5, "what is typed");
  // What a person has to find is told from what is around it by its edge or its ground.
  if (part.matches("input:not([type=checkbox], [type=radio]), select, textarea")) {
    const edge = parseFloat(style.borderTopWidth) > 0 ? contrast(over(colour(style.borderTopColor), around), around) : 1;
    tellContrast(part, Math.max(edge, contrast(behind(part), around)), 3, "the edge of a field");
  }
}
for (const part of all("p a[href], li a[href], dd a[href], td a[href], th a[href], footer a[href]")) {
  // A link amid other words is told from them by more than its colour.
  const block = part.closest("p, li, dd, td, th, footer");
  const rest = [...block.childNodes].filter((own) => own.nodeType === Node.TEXT_NODE && own.data.trim().length > 1);
  if (isHidden(part) || part.closest("nav") || !rest.length) continue;
  const style = getComputedStyle(part);
  if (!style.textDecorationLine.includes("underline") && style.borderBottomStyle === "none") told("a link that only its colour tells", part);
}

// What a finger has to hit (2.5.8): 24 by 24, unless it stands in a line of text or has room around it.
const aims = all("button, input:not([type=hidden]), select, summary, nav a").filter((part) => !isHidden(part) && !isOut(part) && !part.closest(".skip"));
const boxes = aims.map((part) => (part.matches("[type=checkbox], [type=radio]") && part.closest("label") || part).getBoundingClientRect());
aims.forEach((part, at) => {
  const own = boxes[at];
  if (own.width >= 24 && own.height >= 24) return;
  const [x, y] = [own.x + own.width / 2, own.y + own.height / 2];
  const isNear = (other) => Math.hypot(Math.max(other.left - x, 0, x - other.right), Math.max(other.top - y, 0, y - other.bottom)) < 12;
  if (boxes.some((other, number) => number !== at && isNear(other))) told(`is ${Math.round(own.width)} by ${Math.round(own.height)}, with another beside it`, part);
});

return [...new Set(problems)].slice(0, 40);
