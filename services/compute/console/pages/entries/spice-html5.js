// What the page of a guest's screen uses of spice-html5.
export { SpiceMainConn, sendCtrlAltDel } from "spice-html5/main.js";
export { beginWith } from "./spice-websocket.js";
