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
