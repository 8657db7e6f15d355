"""A whole Swift in one process, with its S3 door.  Run by Debian's own Python, which has Swift:

    /usr/bin/python3 swift_server.py DIRECTORY PORT ACCESS_KEY SECRET_KEY

Object, container and account server and the proxy are green threads over one plain directory, on loopback.  The proxy
listens on PORT; the word "ready" is printed when all do.
"""

import contextlib
import os
import socket
import sys
from pathlib import Path

import eventlet
from swift.common import utils

utils.HASH_PATH_SUFFIX = b"tests"  # before what reads it; usually from /etc/swift/swift.conf
utils.eventlet_monkey_patch()

from eventlet import wsgi  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402

PATIENCE = "node_timeout = 60\nconn_timeout = 60\ncontainer_update_timeout = 60\n"
"""Half a second and a second by default: on a machine that does much besides, what was brought were in no list then."""
NODE = "[DEFAULT]\nswift_dir = {swift}\ndevices = {devices}\nmount_check = false\n[app:main]\nuse = egg:swift#{kind}\n"
PROXY = """
[DEFAULT]
swift_dir = {swift}
[pipeline:main]
pipeline = catch_errors gatekeeper cache s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60
conn_timeout = 60
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:9
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin
[filter:slo]
use = egg:swift#slo
"""


def listening(port: int) -> socket.socket:
    made: socket.socket = eventlet.listen(("127.0.0.1", port))
    return made


def serve(listener: socket.socket, file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o600)
    eventlet.spawn(wsgi.server, listener, loadapp(str(file)), log_output=False)


def main(directory: Path, port: int, access_key: str, secret: str) -> None:
    swift, devices = directory / "etc", directory / "devices"
    for folder in (swift, devices / "disk"):
        folder.mkdir(parents=True, exist_ok=True)
    for kind in ("account", "container", "object"):
        listener = listening(0)
        builder = RingBuilder(1, 1, 0)
        device = {"ip": "127.0.0.1", "port": listener.getsockname()[1], "device": "disk", "weight": 1.0}
        builder.add_dev(device | {"region": 1, "zone": 1})
        builder.rebalance()
        builder.get_ring().save(str(swift / f"{kind}.ring.gz"))
        serve(listener, swift / f"{kind}.conf", NODE.format(swift=swift, devices=devices, kind=kind) + PATIENCE)
    account, _, user = access_key.partition(":")
    serve(listening(port), swift / "proxy.conf", PROXY.format(swift=swift, account=account, user=user, secret=secret))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        while os.getppid() != 1:  # whoever started it is gone: nothing may stay behind
            eventlet.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
