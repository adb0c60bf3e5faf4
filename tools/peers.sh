#!/bin/sh
# Install the SIP software that tests call (we did not write it): Debian's sipp, baresip, Kamailio and rtpengine.
#
# Does nothing where they are there already. Only root on a machine with apt installs; anywhere else, and where apt
# fails, the tests that need them are skipped aloud. No service is started: policy-rc.d forbids it meanwhile, and those
# of what is installed here are masked, so that none starts with the machine either.
set -eu
PATH=$PATH:/usr/sbin:/sbin

there() {
    case $1 in
    kamailio) command -v kamailio && ls /usr/lib*/kamailio/modules/tls.so /usr/lib*/*/kamailio/modules/tls.so | grep . ;;
    *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

packages="" services=""
there sipp || packages="$packages sip-tester"
there baresip || packages="$packages baresip-core"
there kamailio || {
    packages="$packages kamailio kamailio-tls-modules kamailio-extra-modules"
    command -v kamailio >/dev/null || services="$services kamailio" # one that runs already is left as it is
}
there rtpengine || {
    packages="$packages rtpengine-daemon"
    services="$services rtpengine-daemon"
}
[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "SKIPPED: SIP software that tests call is missing; as root on Debian:" \
        "apt-get install --no-install-recommends$packages" >&2
    exit 0
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi
masked=""
if [ -n "$services" ] && command -v systemctl >/dev/null; then
    # shellcheck disable=SC2086 # one word each
    systemctl mask --quiet $services >/dev/null 2>&1 && masked=$services
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # one word each
if ! { apt-get install -qq -y --no-install-recommends $packages || {
    apt-get update -qq && apt-get install -qq -y --no-install-recommends $packages; }; } >/dev/null 2>&1; then
    echo "SKIPPED: apt could not install$packages; the tests against them are left out" >&2
    # shellcheck disable=SC2086 # one word each
    [ -z "$masked" ] || systemctl unmask --quiet $masked >/dev/null 2>&1 || true
elif [ -n "$masked" ]; then
    echo "Installed for tests alone:$packages; their services are masked (systemctl unmask$masked)"
fi
