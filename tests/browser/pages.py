"""What a user does in a page: open, run, drag, look; and how long the picture takes to follow."""

import statistics

# Records when the pointer last moved, and reports for each new source of an image how long after that the frame that
# shows it was painted: a message posted by a frame's callback arrives when that frame is on the screen.
WATCH = """
() => {
  const state = window.watched = {moved: 0, report: () => null};
  state.next = () => new Promise((resolve, reject) => {
    state.report = resolve;
    setTimeout(() => reject(new Error('no new picture within 10 s')), 10000);
  });
  addEventListener('mousemove', event => { state.moved = event.timeStamp; }, {capture: true});
  const painted = () => new Promise(resolve => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  }));
  const seen = async image => {
    const moved = state.moved;
    await image.decode().catch(() => null);
    await painted();
    state.report(performance.now() - moved);
  };
  new MutationObserver(changes => changes.forEach(change => change.target.tagName === 'IMG' && seen(change.target)))
    .observe(document.body, {subtree: true, attributes: true, attributeFilter: ['src']});
}
"""


class Page:
    """A page with a tuner or another widget."""

    def __init__(self, page):
        self.page = page

    def open_lab(self, address):
        """Open a notebook in JupyterLab and run it from top to bottom."""
        self.page.goto(address, wait_until="domcontentloaded")
        self.page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget", timeout=90_000)
        self.page.evaluate("() => { jupyterapp.commands.execute('application:toggle-left-area'); }")
        self.page.wait_for_function("jupyterapp.shell.currentWidget?.context?.isReady")
        self.page.wait_for_function("jupyterapp.shell.currentWidget.sessionContext.session?.kernel", timeout=90_000)
        self.page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def open_voila(self, address):
        """Open a notebook that Voilà runs."""
        self.page.goto(address, wait_until="domcontentloaded", timeout=120_000)

    def handle(self, number=0):
        """Return the handle of a slider."""
        return self.page.locator(".noUi-handle:visible").nth(number)

    def drag(self, handle, by, steps=1):
        """Drag a slider's handle ``by`` pixels and release it."""
        box = handle.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + by, y, steps=steps)
        self.page.mouse.up()

    def latencies(self, handle, moves, step=3):
        """Move a held handle back and forth; return ms from each move to the frame that shows the new picture."""
        self.page.evaluate(WATCH)
        box = handle.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        found = []
        for i in range(moves):
            self.page.evaluate("() => { watched.coming = watched.next(); }")  # polling would keep the page busy
            self.page.mouse.move(x - step * (1 + i % 25), y)
            found.append(self.page.evaluate("watched.coming"))
            self.page.wait_for_timeout(20)
        self.page.mouse.up()
        return found


def p95(values):
    return statistics.quantiles(values, n=20)[-1]
