// The metrics: what log lines hold for CloudWatch to count, and what the alarms and the dashboard name.
// Each goes by its log line's kind, whose metrics are all in every such line.

type Unit = 'Count' | 'Milliseconds' | 'Seconds'

export const namespace = 'UserDirectory'

export const metrics = {
  request: {
    dimensions: { Service: 'user-directory' },
    units: {
      Requests: 'Count',
      Latency: 'Milliseconds',
      /** Faults of ours: answered with 500. */
      ServerErrors: 'Count',
      /** Overloaded, or a dependency was away: answered with 429 or 503. */
      Refused: 'Count',
      CacheHits: 'Count',
      CacheMisses: 'Count',
      CacheBypasses: 'Count',
    },
  },
  revalidation: {
    dimensions: { Job: 'revalidation' },
    units: {
      Scanned: 'Count',
      Fresh: 'Count',
      Repaired: 'Count',
      Dropped: 'Count',
      Orphans: 'Count',
      Finished: 'Count',
      Duration: 'Milliseconds',
    },
  },
  outbox: {
    dimensions: { Service: 'user-directory' },
    units: {
      OutboxPending: 'Count',
      /** The age of the oldest record that is due. */
      OutboxLag: 'Seconds',
    },
  },
  signIn: {
    dimensions: { Service: 'user-directory' },
    units: { SignIns: 'Count', SignInsRefused: 'Count' },
  },
  sessionEnd: {
    dimensions: { Service: 'user-directory' },
    /** From a block or a change of password until the last request that this process took of a session before it. */
    units: { SessionOutlived: 'Milliseconds' },
  },
} as const satisfies Record<string, { dimensions: Record<string, string>; units: Record<string, Unit> }>

/**
 * The fields of a log line that CloudWatch makes metrics of (embedded metric format).
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export function metricFields<Kind extends keyof typeof metrics>(
  kind: Kind,
  values: Record<keyof (typeof metrics)[Kind]['units'], number>,
): Record<string, unknown> {
  const { dimensions, units } = metrics[kind]
  return {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        {
          Namespace: namespace,
          Dimensions: [Object.keys(dimensions)],
          Metrics: Object.entries(units).map(([Name, Unit]) => ({ Name, Unit })),
        },
      ],
    },
    ...dimensions,
    ...values,
  }
}
