// The serial line of a guest, by xterm.js.  What it prints is text and nothing else.

import { Terminal, fit } from "./xterm.js";
import { connect, show } from "./page.js";

const place = document.getElementById("console");
const terminal = new Terminal({
  cursorBlink: true,
  fontFamily: "DejaVu Sans Mono, Menlo, Consolas, monospace",
  fontSize: 15,
  scrollback: 5000,
  screenReaderMode: true,
  theme: { background: "#000000", foreground: "#e6ebf2" },
});
terminal.open(place);
fit(terminal);
addEventListener("resize", () => fit(terminal));

const toBytes = new TextEncoder();
const fromBytes = new TextDecoder();

// Questions to the terminal: asked in the past, their answers would be typed into the guest now.
const QUESTIONS = /\x1b\[[0-9;?>=]*[cn]|\x1bZ|\x05/g;

function use(socket) {
  socket.addEventListener("message", (event) => {
    if (typeof event.data === "string") {
      terminal.write(event.data.replace(QUESTIONS, ""));
      return;
    }
    show("connected", "Connected");
    terminal.write(fromBytes.decode(event.data, { stream: true }));
  });
  terminal.on("data", (text) => {
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(toBytes.encode(text));
    }
  });
  terminal.focus();
}

connect(use, () => terminal.setOption("disableStdin", true));
