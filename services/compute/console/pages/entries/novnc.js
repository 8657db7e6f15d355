// What the page of a guest's screen uses of noVNC.
export { default as RFB } from "novnc/core/rfb.js";
