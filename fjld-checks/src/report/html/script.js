(() => {
  "use strict";
  const rows = [...document.querySelectorAll("#claims tbody tr")];
  const buttons = [...document.querySelectorAll("#filter button[data-verdict]")];
  const field = document.querySelector("#filter input");
  const count = document.querySelector("#filter output");
  let verdict = "";

  const apply = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = (!verdict || row.dataset.verdict === verdict) && words.every((word) => text.includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
    }
    count.textContent = `${shown} of ${rows.length} claims`;
  };

  for (const button of buttons) {
    button.addEventListener("click", () => {
      verdict = verdict === button.dataset.verdict ? "" : button.dataset.verdict;
      apply();
    });
  }
  field.addEventListener("input", apply);
  document.addEventListener("keydown", (event) => {
    const typing = event.target === field;
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      field.focus();
      field.select();
    } else if (event.key === "Escape" && (typing || verdict)) {
      field.value = "";
      verdict = "";
      apply();
    }
  });
  // what is folded away on a screen is printed
  window.addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) {
      fold.open = true;
    }
  });
  document.querySelector("#filter").hidden = false;
  apply();
})();
