// Runs concurrent code in every possible order of its steps, each order from the start.

/** Resolves when it is the caller's turn. Only enabled steps get a turn. */
export type Step = (isEnabled?: () => boolean) => Promise<void>

export type Play = {
  /** Called after every step and at the end. @returns a complaint, if any */
  complaint(): string | undefined
}

/**
 * @param begin starts the actors, which call `step` before every action that others can interleave with. An order ends
 *   when no step is enabled.
 * @returns the number of orders, and the first complaint
 */
export async function exploreOrders(
  begin: (step: Step) => Play,
): Promise<{ orders: number; complaint: string | undefined }> {
  let orders = 0
  let choices: number[] = []
  for (;;) {
    const { taken, complaint } = await playOnce(begin, choices)
    orders++
    if (complaint !== undefined) return { orders, complaint }
    // The next order differs at the last step with a remaining choice.
    let at = taken.length - 1
    while (at >= 0 && (taken[at]?.chosen ?? 0) + 1 >= (taken[at]?.among ?? 0)) at--
    if (at < 0) return { orders, complaint: undefined }
    choices = [...taken.slice(0, at).map(({ chosen }) => chosen), (taken[at]?.chosen ?? 0) + 1]
  }
}

async function playOnce(begin: (step: Step) => Play, choices: number[]) {
  const waiting: { go: () => void; isEnabled: () => boolean }[] = []
  const play = begin(
    (isEnabled = () => true) => new Promise<void>((go) => void waiting.push({ go, isEnabled })),
  )
  const taken: { chosen: number; among: number }[] = []
  for (;;) {
    // All actors run until they wait for a turn.
    await new Promise((next) => setImmediate(next))
    const complaint = play.complaint()
    if (complaint !== undefined) return { taken, complaint }
    const enabled = waiting.filter(({ isEnabled }) => isEnabled())
    const chosen = choices[taken.length] ?? 0
    const next = enabled[chosen]
    if (!next) return { taken, complaint: undefined }
    taken.push({ chosen, among: enabled.length })
    waiting.splice(waiting.indexOf(next), 1)
    next.go()
  }
}
