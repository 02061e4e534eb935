package main

import (
	"fmt"
	"strings"
)

// The scripts complete the commands and their flags from the table of commands, and file names otherwise.

func bashCompletion() string {
	var names []string
	var cases strings.Builder
	for _, c := range commands() {
		names = append(names, c.name)
		if len(c.flags) > 0 {
			fmt.Fprintf(&cases, "    %s) flags=%q words=%q ;;\n", c.name, strings.Join(c.flags, " "), strings.Join(c.words, " "))
		}
	}
	return fmt.Sprintf(`# bash completion for cellos
_cellos() {
  local cur=${COMP_WORDS[COMP_CWORD]} flags= words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W %q -- "$cur"))
    return
  fi
  case ${COMP_WORDS[1]} in
%s  esac
  if [ -n "$words" ] && [ "$COMP_CWORD" -eq 2 ]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  fi
  case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -o filenames -F _cellos cellos
`, strings.Join(names, " "), cases.String())
}

func zshCompletion() string {
	return "autoload -U +X bashcompinit && bashcompinit\n" + bashCompletion()
}

func fishCompletion() string {
	var b strings.Builder
	b.WriteString("# fish completion for cellos\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "complete -c cellos -n __fish_use_subcommand -a %s -d %q\n", c.name, c.does)
		if len(c.words) > 0 {
			fmt.Fprintf(&b, "complete -c cellos -n '__fish_seen_subcommand_from %s' -a %q\n", c.name, strings.Join(c.words, " "))
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c cellos -n '__fish_seen_subcommand_from %s' -l %s\n", c.name, strings.TrimPrefix(f, "--"))
		}
	}
	return b.String()
}
