// The websockets that spice-html5 makes, in place of the browser's own: each begins with what opens it, and keeps the cloud's
// words from the client.  The first is opened by the token; the text that it gets opens the others of this session.

let word = "";

export function beginWith(token) {
  word = token;
}

class ConsoleSocket extends globalThis.WebSocket {
  constructor(address, protocols) {
    super(address, protocols);
    this.addEventListener("open", () => this.send(word), { once: true }); // before the client says anything
    const listen = (event) => {
      event.stopImmediatePropagation();
      if (typeof event.data === "string") {
        word = event.data;
      } else {
        this.removeEventListener("message", listen); // the empty message: from here on come the guest's bytes
      }
    };
    this.addEventListener("message", listen);
    // the client would throw it; the end, which follows it, is told in words
    this.addEventListener("error", (event) => event.stopImmediatePropagation());
  }

  /** Answers to what came just before the end go nowhere, and need no complaint. */
  send(data) {
    if (this.readyState === globalThis.WebSocket.OPEN) {
      super.send(data);
    }
  }
}

export { ConsoleSocket as WebSocket };
