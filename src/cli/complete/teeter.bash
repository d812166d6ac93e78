# Completes the command teeter in bash 3.2 or newer. teeter itself finds the candidates, with live names from teeterd.
_teeter() {
    local IFS=$'\013'
    local words=() line=$COMP_LINE rest word space=true n=-1 i
    # bash divides words at colons and equals signs, as in farm:web: pieces without a blank before them belong together.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        rest=${line#"${line%%[![:blank:]]*}"}
        if ((n < 0)) || [[ $rest != "$line" || -z $line ]]; then
            words[++n]=
        fi
        # Only the part before the cursor counts.
        if ((i == COMP_CWORD)) && [[ $word != [:=] ]]; then
            word=$2
        fi
        words[n]+=$word
        line=${rest#"$word"}
    done
    if compopt +o nospace 2>/dev/null; then
        space=false
    fi
    COMPREPLY=($(
        _CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX=$n _CLAP_COMPLETE_COMP_TYPE=$COMP_TYPE _CLAP_COMPLETE_SPACE=$space \
            TEETER_COMPLETE=bash teeter -- "${words[@]}" 2>/dev/null
    )) || COMPREPLY=()
    if [[ $COMP_WORDBREAKS == *:* && ${words[n]} == *:* ]]; then
        # bash replaces only the piece behind the last colon.
        COMPREPLY=("${COMPREPLY[@]#"${words[n]%"${words[n]##*:}"}"}")
    fi
    if [[ $space == false && ${COMPREPLY-} =~ [=/:]$ ]]; then
        compopt -o nospace
    fi
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _teeter teeter
else
    complete -o nospace -o bashdefault -F _teeter teeter
fi
