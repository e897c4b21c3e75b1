// The place of this process among the workers of a Node server, whose primary process passes it in the environment.

export type WorkerPlace = {
  /** From 0. A new worker takes the slot of the one that it replaces. */
  slot: number
  /** The number of slots. */
  of: number
}

/** @returns the variables that make a process the worker of a place */
export function placeVariables({ slot, of }: WorkerPlace): Record<string, string> {
  return { WORKER_PLACE: `${slot}/${of}` }
}

/** Undefined in a process without siblings. */
export const workerPlace: WorkerPlace | undefined = read(process.env.WORKER_PLACE)

/** The processes among which limits of the whole server are divided. */
export const processes = workerPlace?.of ?? 1

function read(text = ''): WorkerPlace | undefined {
  const [, slot, of] = /^(\d+)\/(\d+)$/.exec(text) ?? []
  return slot === undefined ? undefined : { slot: Number(slot), of: Number(of) }
}
