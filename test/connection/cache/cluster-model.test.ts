// Explores every order of the steps of a moving slot, a writer, a reader's renewals and the clock, on the real rules for a
// primary of a cluster.
import { describe, expect, it } from 'vitest'
import { type Broken, boundMs, openClusterModel, tickMs } from '../../support/cluster-model.ts'
import { exploreOrders, type Step } from '../../support/explore.ts'

type Model = ReturnType<typeof openClusterModel>
type Scene = (model: Model, step: Step) => () => string | undefined

const scenes: Record<string, { ticks: number; scene: Scene }> = {
  'a slot moves away and back while a process looks away': {
    ticks: 5,
    scene: (model, step) => {
      const { one, two } = model.nodes
      const reader = model.openProcess()
      let isWritten = false
      void model.runClock(() => isWritten)
      void model.keepTrust(reader, one)
      void (async () => {
        await step()
        model.move(one, two)
        await step()
        await model.settle(two)
        await model.write(two, model.eraOf(two))
        isWritten = true
        await step()
        model.move(two, one)
      })()
      return () => model.staleness(reader)
    },
  },
  'a writer still removes from the primary that has lost the slot without knowing it': {
    ticks: 5,
    scene: (model, step) => {
      const { one, two } = model.nodes
      const reader = model.openProcess()
      let isWritten = false
      void model.runClock(() => isWritten || model.now() < tickMs)
      void model.keepTrust(reader, two)
      void (async () => {
        await model.settle(one)
        const era = model.eraOf(one)
        await step()
        // As after a partition: both believe to have it, and the other one has the higher epoch.
        two.hasSlot = true
        two.epoch = 5
        await step()
        await model.write(one, era)
        isWritten = true
      })()
      return () => model.staleness(reader)
    },
  },
  'a primary loses the slot for a while without a new epoch': {
    ticks: 5,
    scene: (model, step) => {
      const { one, two } = model.nodes
      const reader = model.openProcess()
      let isWritten = false
      void model.runClock(() => isWritten)
      void model.keepTrust(reader, one)
      void (async () => {
        await step()
        one.hasSlot = false
        two.hasSlot = true
        two.epoch = 5
        await step()
        await model.settle(two)
        await model.write(two, model.eraOf(two))
        isWritten = true
        await step()
        two.hasSlot = false
        await model.settle(two)
        one.hasSlot = true
      })()
      return () => model.staleness(reader)
    },
  },
}

const explore = (name: keyof typeof scenes, broken: Broken = {}) => {
  const { ticks, scene } = scenes[name] ?? { ticks: 0, scene: () => () => undefined }
  return exploreOrders((step) => ({ complaint: scene(openClusterModel(step, ticks, broken), step) }))
}

describe.each(Object.keys(scenes))('%s:', (name) => {
  it(`no order of steps serves anything older than ${boundMs} ms`, async () => {
    const { orders, complaint } = await explore(name)
    expect(complaint).toBeUndefined()
    expect(orders).toBeGreaterThan(100)
  }, 180_000)
})

describe('the model detects', () => {
  it('a server that is recognised without its epoch', async () => {
    const { complaint } = await explore('a slot moves away and back while a process looks away', {
      epochs: true,
      lost: true,
    })
    expect(complaint).toMatch(/was acknowledged/)
  }, 180_000)

  it('a record that is deleted after the slot was registered for another primary', async () => {
    const { complaint } = await explore(
      'a writer still removes from the primary that has lost the slot without knowing it',
      { completion: true },
    )
    expect(complaint).toMatch(/was acknowledged/)
  }, 180_000)

  it('an era that goes on after its slot was elsewhere', async () => {
    const { complaint } = await explore('a primary loses the slot for a while without a new epoch', {
      lost: true,
    })
    expect(complaint).toMatch(/was acknowledged/)
  }, 180_000)
})
