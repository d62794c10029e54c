# Completes some lines as bash would and compares. Usage: completion.bash POSTHOUSE-DOC
source <("$1" completion) || exit 1
bad=0
check() { # wanted, words; the last word is the one under the cursor
	local want=$1
	shift
	COMP_WORDS=(posthouse "$@") COMP_CWORD=$# COMPREPLY=()
	_posthouse
	if [[ "${COMPREPLY[*]}" != "$want" ]]; then
		echo "posthouse $*: got \"${COMPREPLY[*]}\", wanted \"$want\""
		bad=1
	fi
}
check "status store" st
check "list show add set remove" account ""
check "remove" domain rem
check "--dir --dry-run" mailbox remove --d
check "--password-stdin" account add --pas
check "list" --dir /tmp alias l
check "" account list --domain ""
check "bash" completion ""
check "" nonsense ""
exit $bad
