// Browsers allow no Worker to a page from a disk (file://), and the search of the site is one.
// There it runs in a hidden frame instead. Its messages wait until its script has come.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.document.open(); // from now on, this document stays
      inside.document.write("<!doctype html><body>");
      inside.document.close();
      this.send = inside.postMessage.bind(inside);
      inside.postMessage = (data) =>
        setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
      inside.importScripts = (...urls) =>
        urls.reduce((before, each) => before.then(() => load(inside.document, each)), Promise.resolve());
      this.ready = load(inside.document, url);
    }

    postMessage(data) {
      this.ready.then(() => this.send(data, "*"));
    }

    set onmessage(listener) {
      this.addEventListener("message", listener);
    }
  };

  window.IFrameWorker = window.Worker; // by this name the search knows that it is in a frame

  function load(page, url) {
    return new Promise((loaded, failed) => {
      const script = page.createElement("script");
      script.src = url;
      script.onload = loaded;
      script.onerror = () => failed(new Error(`${url} cannot be read`));
      page.body.append(script);
    });
  }
}
