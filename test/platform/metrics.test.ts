// The metrics that alarms and the dashboard may use.
import { expect, it } from 'vitest'
import { metricFields, metrics, namespace } from '../../src/platform/metrics.ts'
import { emittedKinds } from '../support/metrics.ts'

it('every metric is emitted, and nothing else', async () => {
  expect([...(await emittedKinds())].sort()).toEqual(Object.keys(metrics).sort())
})

it('a name identifies one metric of its dimension', () => {
  const names = Object.values(metrics).flatMap(({ dimensions, units }) =>
    Object.keys(units).map((name) => `${JSON.stringify(dimensions)} ${name}`),
  )
  expect(new Set(names).size).toBe(names.length)
})

it('a log line declares to CloudWatch which of its fields are metrics', () => {
  const fields = metricFields('outbox', { OutboxPending: 3, OutboxLag: 1.5 })
  expect(fields).toEqual({
    _aws: {
      Timestamp: expect.closeTo(Date.now(), -4),
      CloudWatchMetrics: [
        {
          Namespace: namespace,
          Dimensions: [['Service', 'Stage']],
          Metrics: [
            { Name: 'OutboxPending', Unit: 'Count' },
            { Name: 'OutboxLag', Unit: 'Seconds' },
          ],
        },
      ],
    },
    Service: 'user-directory',
    Stage: 'default',
    OutboxPending: 3,
    OutboxLag: 1.5,
  })
})
