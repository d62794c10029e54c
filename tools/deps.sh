#!/bin/sh
# Installs the Debian packages that building, checking and running the tests need. A quick no-op when all are there.
# With "peers" also the mail servers that tests and the bench put beside ours, not without being asked for, because
# Debian starts them at once; and the mail clients that tests drive, those from npm in a folder of their own. With
# "windows" the clients with windows and in a browser: some 600 MB, which only `make clients` uses.
set -eu

packages="
meson ninja-build gcc libc6-dev pkg-config git python3 ca-certificates openssl
libuv1-dev libssl-dev liblmdb-dev libzstd-dev zlib1g-dev libargon2-dev libseccomp-dev libjansson-dev libicu-dev
libidn2-dev libunbound-dev libcmocka-dev
mandoc clang clang-format clang-tidy cppcheck universal-ctags libclang-rt-14-dev llvm
curl fetchmail getmail6 gsasl msmtp swaks libnet-ssleay-perl isync strace gdb nsd ldnsutils dns-root-data iproute2"
case "${1:-}" in # without these nothing is wrong: what wants one of them says that it is skipped
peers)
	others="postfix dovecot-imapd dovecot-pop3d
alpine mutt neomutt offlineimap3 tmux libmail-imapclient-perl libio-socket-ssl-perl"
	command -v npm >/dev/null 2>&1 || others="$others npm"
	;;
windows) # php-cgi, because Roundcube wants some PHP, and the first that Debian takes brings Apache
	others="claws-mail xvfb xdotool imagemagick fonts-wqy-microhei
chromium php-cli php-cgi php-sqlite3 roundcube-core roundcube-sqlite3"
	;;
*) others="" ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "This is no Debian system: install what these packages hold yourself, then go on:" $packages $others >&2
	exit 0
fi
# A package that another one provides (pkg-config by pkgconf) counts as there.
there=$(dpkg-query -W -f='${db:Status-Status} ${Package} ${Provides}\n' | sed -n 's/([^)]*)//g; s/,/ /g; s/^installed / /p')
there=" $(echo $there) "
missing_of() {
	for package in "$@"; do
		case "$there" in *" $package "*) ;; *) printf ' %s' "$package" ;; esac
	done
}
missing=$(missing_of $packages)
missing_others=$(missing_of $others)

# A test of a client that is missing says so and is skipped: no network, no npm is no error here.
npm_clients() {
	folder="$HOME/.cache/posthouse/node"
	[ "$1" = peers ] && command -v npm >/dev/null 2>&1 || return 0
	[ -d "$folder/node_modules/imapflow" ] && [ -d "$folder/node_modules/imap" ] && return 0
	mkdir -p "$folder"
	npm install --prefix "$folder" --no-audit --no-fund --ignore-scripts imapflow imap >&2 ||
		echo "imapflow and imap (npm) are not to be had: their tests will be skipped" >&2
}

if [ -z "$missing$missing_others" ]; then
	npm_clients "${1:-}"
	exit 0
fi

install="apt-get install -y --no-install-recommends"
if [ "$(id -u)" = 0 ]; then
	as_root=""
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
	as_root="sudo"
else
	echo "These packages are missing, and neither root nor sudo is at hand. As root, type:" >&2
	echo "    apt-get update && $install$missing$missing_others" >&2
	exit 1
fi
echo "installing:$missing$missing_others" >&2
$as_root apt-get update -qq
[ -z "$missing" ] || $as_root env DEBIAN_FRONTEND=noninteractive $install $missing
[ -z "$missing_others" ] || $as_root env DEBIAN_FRONTEND=noninteractive $install $missing_others ||
	echo "not all of these could be installed:$missing_others" >&2
npm_clients "${1:-}"
