// Checks the history of a directory's answers to concurrent clients: it records acknowledged writes and checks every
// answer against them, without any knowledge of the implementation.

/** The checked parts of an answer. */
export type Seen = { status: number; version?: number; name?: string | null }

export type Ruling = {
  writes: number
  reads: number
  /** Reads served from the cache. */
  hits: number
  /** Answers with 429 or 503. */
  rejected: number
  /** Requests without an answer. */
  broken: number
  /** Answers with an unexpected status. */
  otherStatuses: number
  /** Reads older than a write that was acknowledged before the read was sent. */
  stale: number
  /** The same, within the allowed time after a write whose server could not reach the cache. */
  late: number
  /** Answers that mix versions, or wrongly show or hide a user. */
  wrong: number
  /** Users who lack an acknowledged write at the end. */
  lost: number
}

export type Judge = {
  ruling: Ruling
  /** Descriptions of the first faults. */
  complaints: string[]
  ids(): string[]
  /** Records a new user. */
  add(id: string, version: number): void
  /** Call it before sending a read, and pass the answer to the returned function, or undefined without one. */
  read(id: string): (answer: (Seen & { isHit: boolean }) | undefined) => void
  /** Like `read`, for a change of the name. */
  rename(id: string, name: string): (answer: Seen | undefined) => void
  /** Like `read`, for an erasure. From the call on, the user may be gone. */
  erase(id: string): (answer: Seen | undefined) => void
  /**
   * Records that a server may not reach the cache. It may become known after reads that missed a write.
   * @returns a function to call when all servers can again
   */
  trouble(from?: number): () => void
  /** Checks a user's final state, when all servers answer again. */
  final(id: string, answer: Seen): void
}

type History = {
  /** Acknowledged writes in order; an erasure counts as the highest version. */
  acknowledged: { version: number; at: number }[]
  newest: number
  names: Map<number, string>
  changes: number
  isErasing: boolean
}

/** A read that missed writes. */
type Miss = { sentAt: number; overlooked: { at: number }[]; complaint: string }

const gone = Number.POSITIVE_INFINITY
const complaintsMax = 20

/** @param boundMs how long others may miss a write whose server cannot reach the cache */
export function createJudge(boundMs: number, now: () => number = () => performance.now()): Judge {
  const histories = new Map<string, History>()
  const troubles: { from: number; until: number }[] = []
  const ruling: Ruling = {
    writes: 0,
    reads: 0,
    hits: 0,
    rejected: 0,
    broken: 0,
    otherStatuses: 0,
    stale: 0,
    late: 0,
    wrong: 0,
    lost: 0,
  }
  const complaints: string[] = []
  const complain = (kind: 'stale' | 'wrong' | 'lost' | 'otherStatuses', text: string): void => {
    ruling[kind]++
    if (complaints.length < complaintsMax) complaints.push(`${kind}: ${text}`)
  }
  const historyOf = (id: string): History => {
    const history = histories.get(id)
    if (!history) throw new Error(`unknown user ${id}`)
    return history
  }
  /** @returns whether the answer contains information about the user */
  const isAnswer = (answer: Seen | undefined, good: number[]): answer is Seen => {
    if (!answer) ruling.broken++
    else if (answer.status === 429 || answer.status === 503) ruling.rejected++
    else if (!good.includes(answer.status)) complain('otherStatuses', String(answer.status))
    else return true
    return false
  }
  const acknowledge = (history: History, version: number): void => {
    ruling.writes++
    history.acknowledged.push({ version, at: now() })
    history.newest = Math.max(history.newest, version)
  }
  const wasInTrouble = (at: number) => troubles.some(({ from, until }) => at >= from && at <= until)
  let misses: Miss[] = []
  const isLate = ({ sentAt, overlooked }: Miss) =>
    overlooked.every(({ at }) => wasInTrouble(at) && sentAt - at < boundMs)
  const complainOf = (miss: Miss): void => {
    misses.push(miss)
    complain('stale', miss.complaint)
  }
  const withdrawLate = (): void => {
    for (const miss of misses.filter(isLate)) {
      ruling.stale--
      ruling.late++
      const at = complaints.indexOf(`stale: ${miss.complaint}`)
      if (at >= 0) complaints.splice(at, 1)
    }
    misses = misses.filter((miss) => !isLate(miss))
  }

  return {
    ruling,
    complaints,
    ids: () => [...histories.keys()],
    add: (id, version) => {
      histories.set(id, {
        acknowledged: [{ version, at: now() }],
        newest: version,
        names: new Map(),
        changes: 0,
        isErasing: false,
      })
    },
    read: (id) => {
      const history = historyOf(id)
      const sentAt = now()
      const { newest } = history
      return (answer) => {
        if (!isAnswer(answer, [200, 404])) return
        ruling.reads++
        if (answer.isHit) ruling.hits++
        const version = answer.status === 404 ? gone : (answer.version ?? 0)
        const name = history.names.get(version)
        if (version === gone && !history.isErasing) complain('wrong', `${id} exists and was not found`)
        else if (name !== undefined && answer.name !== name)
          complain('wrong', `version ${version} of ${id} is called ${answer.name}, it was ${name}`)
        if (version >= newest) return
        const overlooked = history.acknowledged.filter(
          (write) => write.version > version && write.at < sentAt,
        )
        const [{ at } = { at: sentAt }] = overlooked
        const complaint = `version ${version} of ${id}, the next was acknowledged ${Math.round(sentAt - at)} ms before`
        const miss = { sentAt, overlooked, complaint }
        if (isLate(miss)) ruling.late++
        else complainOf(miss)
      }
    },
    rename: (id, name) => {
      const history = historyOf(id)
      return (answer) => {
        if (!isAnswer(answer, [200])) return
        const { version = 0 } = answer
        if (answer.name !== name) complain('wrong', `a write of ${name} was answered ${answer.name}`)
        history.changes++
        history.names.set(version, name)
        acknowledge(history, version)
      }
    },
    erase: (id) => {
      const history = historyOf(id)
      history.isErasing = true
      return (answer) => {
        if (isAnswer(answer, [204])) acknowledge(history, gone)
      }
    },
    trouble: (from = now()) => {
      const trouble = { from, until: gone }
      troubles.push(trouble)
      withdrawLate()
      return () => {
        trouble.until = now() + boundMs
      }
    },
    final: (id, { status, version = 0, name }) => {
      const { newest, changes, names, isErasing } = historyOf(id)
      if (status === 404 && isErasing) return
      if (newest === gone || status !== 200) return complain('lost', `${id} is ${status} at the end`)
      // Each change creates one version.
      if (version < newest || version - 1 < changes)
        return complain(
          'lost',
          `${id} ends at version ${version}; ${changes} changes up to ${newest} were acknowledged`,
        )
      if (names.has(version) && names.get(version) !== name)
        complain('lost', `${id} ends with the name ${name}, not ${names.get(version)}`)
    },
  }
}

/** @returns whether all guarantees hold */
export function isKept({ stale, wrong, lost, otherStatuses }: Ruling): boolean {
  return stale + wrong + lost + otherStatuses === 0
}
