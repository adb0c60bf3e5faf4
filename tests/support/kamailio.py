"""Kamailio as a trunk: a proxy that asks for digest credentials, over UDP, TCP and TLS, with sipp or a phone behind it.

Where a call goes on to is said by a header of the call itself (`NEXT_HOP`), so that one Kamailio serves many tests.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import peers
from tests.support.certificates import Certificate
from tests.support.ports import free_port
from tests.support.sipp import PATIENCE_SECS

USER, PASSWORD, REALM = "ada", "s3cret of the trunk; or so", "trunk.test"
NEXT_HOP = "X-Next-Hop"
"""Header: address of who is called behind it."""
CAME_OVER = "X-Came-Over"
"""Header that it adds: the transport over which the INVITE came."""
MEDIA = "X-Media"
"""Header: `srtp`, and the call is let in only encrypted, and goes on in clear by way of rtpengine."""

CONFIG = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=1
auto_aliases=no
enable_tls=yes
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
listen=tls:127.0.0.1:{tls_port}
loadmodule "tls.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
modparam("tls", "certificate", "{cert}")
modparam("tls", "private_key", "{key}")
modparam("tls", "tls_method", "TLSv1.2+")
modparam("auth", "algorithm", "{digest}")
#!ifdef WITH_RTPENGINE
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "{rtpengine}")
#!endif
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (!is_method("ACK")) t_check_trans();
  if (has_totag()) {{
    if (loose_route()) {{
#!ifdef WITH_RTPENGINE
      if (is_method("BYE") && check_route_param("media=srtp")) rtpengine_delete();
#!endif
      t_relay();
      exit;
    }}
    if (is_method("ACK") && t_check_trans()) t_relay();
    exit;
  }}
  if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
  if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{ proxy_challenge("{realm}", "1"); exit; }}
  if ($au != "{user}") {{ sl_send_reply("403", "Forbidden"); exit; }}
  consume_credentials();
  append_hf("{came_over}: $proto\\r\\n");
#!ifdef WITH_RTPENGINE
  if ($hdr({media}) == "srtp") {{
    if (!search_body("RTP/SAVP")) {{ sl_send_reply("488", "Not Acceptable Here"); exit; }}
    t_on_reply("MEDIA");
    rtpengine_offer("replace-origin RTP/AVP");
    add_rr_param(";media=srtp");
  }}
#!endif
  record_route();
  $du = "sip:" + $hdr({next_hop});
  t_relay();
}}
#!ifdef WITH_RTPENGINE
onreply_route[MEDIA] {{
  if (status =~ "(18[03])|(2[0-9][0-9])" && has_body("application/sdp")) rtpengine_answer("replace-origin RTP/SAVP");
}}
#!endif
"""


@dataclass(frozen=True)
class Kamailio:
    """One running Kamailio."""

    port: int
    tls_port: int
    log: Path

    def address(self, transport: str) -> str:
        """Of the trunk over this transport; TLS goes by name."""
        return f"localhost:{self.tls_port}" if transport == "tls" else f"127.0.0.1:{self.port}"


@contextmanager
def kamailio(folder: Path, certificate: Certificate, *, rtpengine: str = "", digest: str = "MD5") -> Iterator[Kamailio]:
    """On ports of its own; `rtpengine`: where that listens, if calls are to go through it; `digest`: or SHA-256."""
    port, tls_port, log = free_port(), free_port(), folder / "kamailio.log"
    config = folder / "kamailio.cfg"
    config.write_text(
        CONFIG.format(
            port=port,
            tls_port=tls_port,
            cert=certificate.cert,
            key=certificate.key,
            rtpengine=rtpengine,
            digest=digest,
            realm=REALM,
            user=USER,
            password=PASSWORD,
            came_over=CAME_OVER,
            media=MEDIA,
            next_hop=NEXT_HOP,
        )
    )
    command = [peers.program("kamailio"), "-DD", "-E", "-f", str(config), "-Y", str(folder), "-m", "64", "-M", "8"]
    command += ["-A", "WITH_RTPENGINE"] if rtpengine else []
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        until = time.monotonic() + PATIENCE_SECS
        while not _listens(port, tls_port):
            assert process.poll() is None, log.read_text(errors="replace")[-2_000:]
            assert time.monotonic() < until, log.read_text(errors="replace")[-2_000:]
            time.sleep(0.02)
        yield Kamailio(port, tls_port, log)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children are a group of their own
            process.wait(5)


def _listens(port: int, tls_port: int) -> bool:
    tcp = Path("/proc/net/tcp").read_text()
    return all(f":{one:04X} 00000000:0000 0A" in tcp for one in (port, tls_port))
