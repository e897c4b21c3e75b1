// Limits the transactions that call the avatar store.
import { fairQueue } from '../../platform/queue.ts'

// Each holds a database connection during the call, so a slow store or one caller must not occupy all of them.
export const avatarStoreQueue = fairQueue(4, { waiting: 500, waitMsMax: 5_000, runningPerShare: 2 })
