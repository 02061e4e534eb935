#!/bin/sh
# Puts Debian's kernel for virtual machines of arm64 into a folder, for the test that boots one; the system's own packages and architectures
# stay as they are. Needs apt, dpkg-deb and depmod.
#
#   sh backend/microvm/arm64kernel.sh DIR      DIR/boot, DIR/lib/modules
set -eu
mkdir -p "$1"
[ ! -e "$1/lib/modules" ] || exit 0
top=$(cd "$1" && pwd)
work=$(mktemp -d /var/tmp/arm64kernel-XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
: >"$work/status"
apt() {
	command=$1
	shift
	"$command" -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::State::status="$work/status" \
		-o APT::Sandbox::User=root "$@"
}
apt apt-get -qq update
package=$(apt apt-cache depends linux-image-cloud-arm64 | awk '/Depends: linux-image/ { print $2; exit }')
cd "$work"
apt apt-get -qq download "$package"
dpkg-deb -x "$package"*.deb root
depmod -b root "$(ls root/lib/modules)"
cp -r root/boot root/lib "$top/"
