// The metrics: what log lines hold for CloudWatch to count, and what the alarms and the dashboard name.
// Each goes by its log line's kind, whose metrics are all in every such line.

type Unit = 'Count' | 'Milliseconds' | 'Seconds'

type Entry = {
  dimensions: Readonly<Record<string, string>>
  units: Readonly<Record<string, Unit>>
  /** Names of those that are counted once more for each version of the function. */
  ofVersion?: readonly string[]
}

export const namespace = 'UserDirectory'

// Stages in one account and region share the namespace.
const stage = process.env.STAGE || 'default'
// Lambda sets it. Alarms that guard a deployment look at the new version alone.
const version = process.env.AWS_LAMBDA_FUNCTION_VERSION

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
    ofVersion: ['Requests', 'Latency', 'ServerErrors'],
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
} as const satisfies Record<string, Entry>

/**
 * The fields of a log line that CloudWatch makes metrics of (embedded metric format).
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export function metricFields<Kind extends keyof typeof metrics>(
  kind: Kind,
  values: Record<keyof (typeof metrics)[Kind]['units'], number>,
): Record<string, unknown> {
  const { dimensions, units, ofVersion = [] }: Entry = metrics[kind]
  const all = Object.entries(units).map(([Name, Unit]) => ({ Name, Unit }))
  const directive = (dimension: string[], Metrics: typeof all) => ({
    Namespace: namespace,
    Dimensions: [[...Object.keys(dimensions), 'Stage', ...dimension]],
    Metrics,
  })
  const counted = version === undefined ? [] : all.filter(({ Name }) => ofVersion.includes(Name))
  return {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        directive([], all),
        ...(counted.length > 0 ? [directive(['Version'], counted)] : []),
      ],
    },
    ...dimensions,
    Stage: stage,
    ...(counted.length > 0 && { Version: version }),
    ...values,
  }
}
