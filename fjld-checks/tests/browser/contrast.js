// Every piece of text that is drawn, with the contrast of its real colour against what lies behind it (WCAG 2.1, success criterion
// 1.4.3), and every line of a picture against the page (1.4.11). Returns those that fall short.
const parse = (text) => {
  const parts = text.match(/[\d.]+/g).map(Number);
  return { r: parts[0], g: parts[1], b: parts[2], a: parts.length > 3 ? parts[3] : 1 };
};
const over = (top, below) => ({
  r: top.r * top.a + below.r * (1 - top.a),
  g: top.g * top.a + below.g * (1 - top.a),
  b: top.b * top.a + below.b * (1 - top.a),
  a: 1,
});
const luminance = (colour) => {
  const [r, g, b] = [colour.r, colour.g, colour.b].map((v) => {
    const s = v / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const paper = parse(getComputedStyle(document.body).backgroundColor);
const behind = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.a > 0) layers.push(colour);
    if (colour.a === 1) break;
  }
  return layers.reverse().reduce((below, top) => over(top, below), paper);
};
for (const fold of document.querySelectorAll("details")) fold.open = true;
const found = new Map();
let looked = 0;
const judge = (what, colour, ground, needed) => {
  looked += 1;
  const own = ratio(over(colour, ground), ground);
  if (own < needed) found.set(what, own.toFixed(2));
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || !element.getClientRects().length || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  const style = getComputedStyle(element);
  if (style.visibility === "hidden") continue;
  const name = `${element.tagName}.${element.getAttribute("class") || ""} ${node.data.trim().slice(0, 30)}`;
  if (element.tagName === "text") {
    const before = element.previousElementSibling;
    const cell = before && before.tagName === "rect" && !element.getAttribute("class");
    judge(name, parse(style.fill), cell ? parse(getComputedStyle(before).fill) : paper, 4.5);
  } else {
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    judge(name, parse(style.color), behind(element), large ? 3 : 4.5);
  }
}
for (const line of document.querySelectorAll("[class^='s-'], [class^='f-']")) {
  const of = line.getAttribute("class");
  if (line.tagName === "text" || of.endsWith("grid") || Number(line.getAttribute("opacity")) < 1) continue;
  const style = getComputedStyle(line);
  judge(of, parse(of.startsWith("s-") ? style.stroke : style.fill), paper, 3);
}
return { looked, short: [...found].map(([what, own]) => `${own}: ${what}`) };
