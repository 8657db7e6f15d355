// The screen of a guest, by spice-html5.

import { SpiceMainConn, beginWith, sendCtrlAltDel } from "./spice-html5.js";
import { address, begin, show, untilEnd } from "./page.js";

const button = document.getElementById("ctrl-alt-del");
const screen = document.getElementById("screen");
const LOOK_EVERY_MS = 50;

const focus = () => screen.querySelector("canvas")?.focus();

function open(token) {
  beginWith(token);
  const connection = new SpiceMainConn({
    uri: address().href,
    screen_id: screen.id,
    password: "",
    onerror: () => {}, // the end of the websocket says it
  });
  const { ws: socket } = connection;
  untilEnd(socket, () => {
    button.disabled = true;
  });
  // the client tells nobody when its connection for keys is there, and until then it drops them
  function begun() {
    if (connection.inputs?.state === "ready" && screen.querySelector("canvas")) {
      show("connected", "Connected");
      button.disabled = false;
      focus();
      new MutationObserver(focus).observe(screen, { childList: true }); // a screen of a new size is a new canvas
    } else if (socket.readyState <= WebSocket.OPEN) {
      setTimeout(begun, LOOK_EVERY_MS);
    }
  }
  begun();
  button.addEventListener("click", () => {
    sendCtrlAltDel(connection);
    focus();
  });
}

const token = begin();
if (token) {
  open(token);
}
