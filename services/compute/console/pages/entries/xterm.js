// What the page of a guest's serial line uses of xterm.js.
export { Terminal } from "xterm/lib/public/Terminal.js";
export { fit } from "xterm/lib/addons/fit/fit.js";
