// texts of pictures that leave their drawing, or that cover each other by more than the edge of a letter
const EDGE = 1.5;
const wrong = [];
let looked = 0;
for (const svg of document.querySelectorAll('figure svg[role=img]')) {
  const whole = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')].map(text => ({ said: text.textContent.trim(), box: text.getBoundingClientRect() }));
  looked += texts.length;
  const told = svg.closest('article')?.id + ': ';
  for (const { said, box } of texts) {
    if (box.left < whole.left - EDGE || box.right > whole.right + EDGE || box.top < whole.top - EDGE || box.bottom > whole.bottom + EDGE) {
      wrong.push(told + said + ' is cut off');
    }
  }
  texts.forEach((one, k) => {
    for (const other of texts.slice(k + 1)) {
      const wide = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const high = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
      // the box of a text is higher than its letters
      if (wide > EDGE && high > 0.35 * Math.min(one.box.height, other.box.height)) {
        wrong.push(told + one.said + ' covers ' + other.said);
      }
    }
  });
}
return { looked, wrong: [...new Set(wrong)] };
