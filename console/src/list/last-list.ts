// The list that was shown last, for the way back from a user.
import type { ListAddress } from './address.ts'

let address: ListAddress = {}

export const lastList = {
  get: () => address,
  set: (shown: ListAddress): void => {
    address = shown
  },
}
