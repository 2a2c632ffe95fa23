/** Makes the text of `test/bench/README.md` from the figures of the last runs, and from nothing else. */
import { reasons, sideBySide, standings } from './comparison.ts'
import type { Comparison, Finding, Table } from './findings.ts'
import type { BenchResult, Results } from './results.ts'
import { cellsOf, HEAD } from './table.ts'

/** What makes all of it anew. */
const COMMAND = 'npm run bench:table'

export function renderReadme({ machine, benches }: Results): string {
  const { cpu, cores, memoryGib, system, node } = machine
  const parts = [
    `<!-- Made by \`${COMMAND}\` from results.json: do not change it by hand. -->`,
    '# What callme measures, and beside what',
    `\`${COMMAND}\` runs every bench and writes this page; \`${COMMAND} -- NAME …\` measures those anew and leaves the others as they are.`,
    table(['CPU', 'cores', 'memory', 'system', 'Node'], [[cpu, String(cores), `${memoryGib} GiB`, system, node]]),
    'Each figure is the median of the rounds, with the lowest and the highest in parentheses. A yardstick is measured in the same run, in turn with callme; the ratio is that of the medians.',
    ...Object.entries(benches).flatMap(([name, result]) => section(name, result)),
  ]
  return `${parts.join('\n\n')}\n`
}

function section(name: string, { command, measuredAt, seconds, version, findings }: BenchResult): string[] {
  const notes = findings.flatMap((finding) => (finding.kind === 'note' ? [finding.text] : []))
  const about = [`callme ${version}`, ...notes, `${measuredAt.slice(0, 10)}, ${seconds.toFixed(0)} s`]
  return [`## ${name}`, `\`${command}\``, about.join('; '), ...findings.flatMap(show)]
}

function show(finding: Finding): string[] {
  if (finding.kind === 'table') return showTable(finding)
  return finding.kind === 'comparison' ? showComparison(finding) : []
}

function showTable({ title, yardstick, rows }: Table): string[] {
  return [`**${title}**`, `Yardstick: ${yardstick}.`, table(HEAD, rows.map(cellsOf))]
}

function showComparison(comparison: Comparison): string[] {
  const [head = [], ...lines] = sideBySide(comparison)
  const [ranked = [], ...ranks] = standings(comparison)
  const missed = reasons(comparison)
  return [
    `**${comparison.title}**`,
    table(head, lines),
    'Where callme stands among the products:',
    table(ranked, ranks),
    ...(missed.length > 0 ? ['Where it is not as far in front as it aims to be:', list(missed)] : []),
    'How to read it:',
    list(comparison.legend),
  ]
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function list(texts: readonly string[]): string {
  return texts.map((text) => `- ${text}`).join('\n')
}
