// The screen of a guest, by noVNC.

import { RFB } from "./novnc.js";
import { connect, show } from "./page.js";

const button = document.getElementById("ctrl-alt-del");

function use(socket) {
  const screen = new RFB(document.getElementById("console"), socket, { shared: true });
  screen.scaleViewport = true;
  screen.background = "#000";
  screen.addEventListener("connect", () => {
    show("connected", "Connected");
    button.disabled = false;
    screen.focus();
  });
  button.addEventListener("click", () => {
    screen.sendCtrlAltDel();
    screen.focus();
  });
}

connect(use, () => {
  button.disabled = true;
});
