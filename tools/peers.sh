#!/bin/sh
# Install the SIP software that tests call (we did not write it): Debian's sipp and baresip.
#
# Does nothing where they are there already. Only root on a machine with apt installs; anywhere else, and where apt
# fails, the tests that need them are skipped aloud. No service is started: policy-rc.d forbids it meanwhile.
set -eu
PACKAGES="sip-tester baresip-core"

if command -v sipp >/dev/null && command -v baresip >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "SKIPPED: no sipp or no baresip here; as root on Debian: apt-get install --no-install-recommends $PACKAGES" >&2
    exit 0
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # two packages
if ! { apt-get install -qq -y --no-install-recommends $PACKAGES || {
    apt-get update -qq && apt-get install -qq -y --no-install-recommends $PACKAGES; }; } >/dev/null 2>&1; then
    echo "SKIPPED: apt could not install $PACKAGES; the tests against them are left out" >&2
fi
