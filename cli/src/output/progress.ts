// Shows on stderr how far long work is: a bar on a terminal, else a line now and then.

export type ProgressState = {
  label: string
  /** From 0 to 1; undefined while the size of the work is unknown. */
  share: number | undefined
  /** Such as `12,000 rows`. */
  details: string[]
}

export type Progress = {
  show(state: ProgressState): void
  /** Removes the bar, or prints the last state as a line. */
  end(): void
}

const barWidth = 24
const barMsMin = 100
const lineMsMin = 5_000

export function openProgress(): Progress {
  const { stderr } = process
  const { NO_COLOR, CI, TERM } = process.env
  const isBar = stderr.isTTY && !NO_COLOR && !CI && TERM !== 'dumb'
  let shownAt = Number.NEGATIVE_INFINITY
  let waiting: string | undefined
  const write = (text: string): void => {
    shownAt = performance.now()
    waiting = undefined
    // The cursor goes to the start of the line, which is then cleared to its end.
    if (isBar) stderr.write(`\r${text.slice(0, Math.max(0, (stderr.columns || 80) - 1))}\u001b[K`)
    else stderr.write(`${text}\n`)
  }
  return {
    show: (state) => {
      waiting = isBar ? formatBar(state) : formatLine(state)
      if (performance.now() - shownAt >= (isBar ? barMsMin : lineMsMin)) write(waiting)
    },
    end: () => {
      if (isBar) stderr.write('\r\u001b[K')
      else if (waiting !== undefined) write(waiting)
    },
  }
}

function formatBar(state: ProgressState): string {
  const full = Math.round((state.share ?? 0) * barWidth)
  const bar = '█'.repeat(full) + '░'.repeat(barWidth - full)
  return `${state.label}  ${bar}  ${[...percent(state), ...state.details].join('  ')}`
}

function formatLine(state: ProgressState): string {
  return `${state.label}: ${[...percent(state), ...state.details].join(', ')}`
}

function percent({ share }: ProgressState): string[] {
  return share === undefined ? [] : [`${Math.floor(share * 100)} %`]
}
