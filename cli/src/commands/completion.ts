// Completes words in the shell. The scripts ask this program, so that they never fall behind it.
import { Argument, type Command, type Option } from 'commander'

const scripts = {
  bash: `_user_directory() {
  local IFS=$'\\n'
  COMPREPLY=($(user-directory __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _user_directory user-directory
`,
  zsh: `#compdef user-directory
_user_directory() {
  local -a found
  found=("\${(@f)$(user-directory __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _user_directory user-directory
`,
  fish: `complete -c user-directory -a '(user-directory __complete -- (commandline -opc | tail -n +2) (commandline -ct) 2>/dev/null)'
`,
}

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>').choices(Object.keys(scripts)))
    .description('Print a script that completes commands: source <(user-directory completion bash)')
    .action((shell: keyof typeof scripts) => void process.stdout.write(scripts[shell]))
}

/** @param words those after the program's name; the last one is being typed */
export function candidates(program: Command, words: string[]): string[] {
  const typed = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  let command = program
  for (const word of before) command = command.commands.find((each) => each.name() === word) ?? command
  const options = [...command.options, ...program.options]
  const expected = options.find(({ long, required }) => required && long === before.at(-1))
  return found({ command, options, expected, isOption: typed.startsWith('-') }).filter((word) =>
    word.startsWith(typed),
  )
}

function found(at: {
  command: Command
  options: Option[]
  expected: Option | undefined
  isOption: boolean
}): string[] {
  const { command, options, expected, isOption } = at
  if (expected) return expected.argChoices ?? []
  if (isOption) return [...options.flatMap(({ long }) => long ?? []), '--help']
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? [])
  return [...command.commands.map((each) => each.name()), ...choices]
}
