// Widgets hand their text to MathJax 2 for typesetting; pass it on to the MathJax 3 of this book.
document.addEventListener("DOMContentLoaded", () => {
  if (!window.MathJax || window.MathJax.Hub) return;
  window.MathJax.Hub = {
    Queue: ([, , node]) => {
      node.classList.add("mathjax_process");
      return window.MathJax.startup?.promise.then(() => window.MathJax.typesetPromise([node]));
    },
  };
});

// A slider of the widgets has no name, and says the place of its value in a list: tell screen readers name and value,
// and say what it changed.  Its readout looks editable, but takes no text.
document.addEventListener("DOMContentLoaded", () => {
  if (!document.querySelector('script[type="application/vnd.jupyter.widget-view+json"]')) return;
  const set = (node, name, value) => {
    if (node && value && node.getAttribute(name) !== value) node.setAttribute(name, value);
  };
  const tell = () => {
    for (const slider of document.querySelectorAll(".ceae-lines .widget-slider")) {
      const handle = slider.querySelector('[role="slider"]');
      const readout = slider.querySelector(".widget-readout");
      set(handle, "aria-label", slider.querySelector(".widget-label")?.title);
      set(handle, "aria-valuetext", readout?.textContent);
      set(readout, "contenteditable", "false");
    }
    for (const point of document.querySelectorAll(".ceae-lines-point")) set(point, "aria-live", "polite");
  };
  new MutationObserver(tell).observe(document.querySelector("article") ?? document.body, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["aria-valuetext"],
  });
});
