# bash completion for muxctl(1).  Options are those that its --help tells, UDIDs those
# of the phones that the daemon knows.

_muxctl_options() {
    muxctl "$@" --help 2>/dev/null | command grep -oE -- '(^|[][ ,|])--?[A-Za-z][A-Za-z-]*' |
        command tr -d '][ ,|' | command sort -u
}

# bash expands the words that it is given, commands in them too, and a device may call itself
# what it likes.
_muxctl_phones() {
    muxctl "$@" --timeout 2 list 2>/dev/null |
        command awk 'NR > 1 && $1 ~ /^[0-9A-Za-z-]+$/ { print $1 }'
}

_muxctl() {
    local current=$2 previous=$3 command='' action='' words='' i
    local -a daemon=()
    local commands='list watch wait listeners status top log release take phone reload buid record wifi cert capture connect fleet reserve tunnel completion relay'
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -s | --socket)
                # An address with colons is several words to bash.
                daemon=(--socket "${COMP_WORDS[i + 1]}")
                ((i++))
                while [[ ${COMP_WORDS[i + 1]} == : && i+2 -lt COMP_CWORD ]]; do
                    daemon[1]+=:${COMP_WORDS[i + 2]}
                    ((i += 2))
                done
                ;;
            -u | --udid | --status | --timeout | --count | --lines | -w | --wait | --linger | -p | --port | --write | --ca | -o | --output | --days | --hub | --name | --phone | --reason | --term) ((i++)) ;;
            -*) ;;
            *)
                if [[ -z $command ]]; then
                    command=${COMP_WORDS[i]}
                elif [[ -z $action ]]; then
                    action=${COMP_WORDS[i]}
                fi
                ;;
        esac
    done
    case $previous in
        -u | --udid) words=$(_muxctl_phones "${daemon[@]}") ;;
        -s | --socket | --status | --write | --ca | -o | --output)
            COMPREPLY=($(compgen -f -- "$current"))
            return
            ;;
        --timeout | --count | --lines | -w | --wait | --linger | -p | --port | --days | --hub | --name | --phone | --reason | --term) return ;;
        *)
            case $current:$command:$action in
                -*) words=$(_muxctl_options $command) ;;
                *:record:) words='show delete' ;;
                *:fleet:) words='list status drain undrain' ;;
                *:wifi:) words='on off' ;;
                *:wifi:*) words=$(_muxctl_phones "${daemon[@]}") ;;
                *:cert:) words='init host client revoke list' ;;
                *:release: | *:take:) words=$(_muxctl_phones "${daemon[@]}") ;;
                *:record:*) words=$(_muxctl_phones "${daemon[@]}") ;;
                *:completion:) words='bash zsh' ;;
                *::*) words=$commands ;;
            esac
            ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}

complete -F _muxctl muxctl
