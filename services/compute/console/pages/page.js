// What all consoles' pages do: take the token out of the address, connect, and say how it stands.

const ENDED = {
  1000: "Ended",
  1001: "Ended: the cloud is being restarted",
  1006: "Ended: the connection was lost",
  1012: "Ended: the cloud is being restarted",
  1013: "Not connected",
  4401: "Not connected",
  4403: "Ended",
  4409: "Not connected",
};

/** The token and the server's name.  The address bar and the history keep neither. */
function readAddress() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const path = new URLSearchParams(location.search).get("path") ?? "";
  const token = fragment.get("token") ?? new URLSearchParams(path.split("?")[1] ?? "").get("token");
  history.replaceState(null, "", location.pathname);
  return { token, title: fragment.get("title") };
}

/** Shows one of connecting, connected, ended; a reader of the screen hears it. */
export function show(state, words) {
  const line = document.getElementById("state");
  line.textContent = words;
  line.dataset.state = document.body.dataset.state = state;
}

/** Names the page after the server; the token, or nothing after having said that there is none. */
export function begin() {
  const { token, title } = readAddress();
  if (title) {
    document.getElementById("title").textContent = title;
    document.title = `${title} – console`;
  }
  fullScreen();
  if (!token) {
    show("ended", "Not connected: this address has no token in it. Ask for a new one: openstack console url show SERVER");
  }
  return token;
}

/** Where a console's websockets connect. */
export function address() {
  const found = new URL("socket", location.href);
  found.protocol = found.protocol.replace("http", "ws");
  return found;
}

/** Says how the console ended when its websocket does; then calls `ended`. */
export function untilEnd(socket, ended) {
  socket.addEventListener("close", (event) => {
    const words = ENDED[event.code] ?? "Ended";
    show("ended", event.reason ? `${words}: ${event.reason}` : words);
    ended();
  });
}

/** Opens the one websocket of a console, whose first message is the token; `use(socket)` is called when bytes may come. */
export function connect(use, ended) {
  const token = begin();
  if (!token) {
    return;
  }
  const socket = new WebSocket(address(), ["binary"]);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    socket.send(token);
    use(socket);
  }, { once: true });
  untilEnd(socket, ended);
}

function fullScreen() {
  const button = document.getElementById("full-screen");
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", async () => {
    await document.getElementById("console").requestFullscreen();
    document.getElementById("console").querySelector("canvas, textarea")?.focus();
  });
}
