// ipywidgets gives the handles of its sliders no names; screen readers need them.
(() => {
  let left = 60; // views are made one after the other, for some seconds
  const timer = setInterval(() => {
    for (const handle of document.querySelectorAll('.acg-control .noUi-handle:not([aria-label])')) {
      const label = handle.closest('.acg-control').querySelector('.widget-label');
      if (label) handle.setAttribute('aria-label', label.textContent);
    }
    left -= 1;
    if (!left) clearInterval(timer);
  }, 500);
})();
