/** `latchkey completion`: what a shell completes, made from the commands that there are. */
import { Argument, Command } from 'commander'
import { print } from './run.ts'

/** A command by the words that lead to it, such as `['user', 'add']`. */
type Place = Readonly<{
  words: readonly string[]
  /** What may follow, with its meaning. */
  candidates: readonly (readonly [word: string, meaning: string])[]
}>

export function completionCommand(root: () => Command): Command {
  return new Command('completion')
    .description('print what makes a shell complete commands and options of latchkey; load it where the shell starts')
    .addArgument(new Argument('<shell>', 'whose').choices(Object.keys(scripts)))
    .addHelpText('after', '\nFor bash, in ~/.bashrc: source <(latchkey completion bash)')
    .action((shell: keyof typeof scripts) => void print(scripts[shell](placesOf(root()))))
}

function placesOf(command: Command, words: readonly string[] = []): Place[] {
  const help = command.createHelp()
  const commands = help.visibleCommands(command).filter(child => child.name() !== 'help' || words.length === 0)
  const candidates = [
    ...commands.map(child => [child.name(), child.description()] as const),
    ...command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices.map(choice => [choice, ''] as const)),
    ...help.visibleOptions(command).map(({ long, description }) => [long ?? '', description] as const),
  ]
  return [
    { words, candidates },
    ...commands.flatMap(child => (child.name() === 'help' ? [] : placesOf(child, [...words, child.name()]))),
  ]
}

/** As the scripts below keep in mind where they are: each word with a space before it. */
const keyOf = (words: readonly string[]) => words.map(word => ` ${word}`).join('')
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
const known = (places: readonly Place[]) =>
  places.filter(({ words }) => words.length > 0).map(({ words }) => keyOf(words))

function cases(places: readonly Place[], line: (words: string) => string): string {
  return places
    .map(
      ({ words, candidates }) => `    ${quote(keyOf(words))}) ${line(candidates.map(([word]) => word).join(' '))} ;;`,
    )
    .join('\n')
}

const scripts = {
  bash: (places: readonly Place[]) => `_latchkey() {
  local at='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
    ${known(places).map(quote).join('|')}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at" in
${cases(places, words => `words=${quote(words)}`)}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _latchkey latchkey
`,
  zsh: (places: readonly Place[]) => `#compdef latchkey
_latchkey() {
  local at='' word
  local -a candidates
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
    ${known(places).map(quote).join('|')}) at="$at $word" ;;
    esac
  done
  case "$at" in
${cases(places, words => `candidates=(${words})`)}
  esac
  compadd -a candidates || _files
}
compdef _latchkey latchkey
`,
  fish: (places: readonly Place[]) => `function __latchkey_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    if contains -- "$at $word" ${known(places).map(quoteForFish).join(' ')}
      set at "$at $word"
    end
  end
  test "$at" = "$argv[1]"
end
${places.flatMap(fishLines).join('\n')}
`,
}

function fishLines({ words, candidates }: Place): string[] {
  return candidates.map(([word, meaning]) => {
    const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`
    return `complete -c latchkey -n ${quoteForFish(`__latchkey_at '${keyOf(words)}'`)} ${what} -d ${quoteForFish(meaning)}`
  })
}

function quoteForFish(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`
}
