// The metrics that log lines contain for CloudWatch, and that the alarms and the dashboard use. Each log line of a kind
// contains all metrics of that kind.

type Unit = 'Count' | 'Milliseconds' | 'Seconds'

type Entry = {
  dimensions: Readonly<Record<string, string>>
  units: Readonly<Record<string, Unit>>
  /** The metrics that are also counted for each version of the function. */
  ofVersion?: readonly string[]
}

export const namespace = 'UserDirectory'

// Stages in one account and region share the namespace.
const stage = process.env.STAGE || 'default'
// Set by Lambda. The alarms that guard a deployment watch the new version only.
const version = process.env.AWS_LAMBDA_FUNCTION_VERSION

export const metrics = {
  request: {
    dimensions: { Service: 'user-directory' },
    units: {
      Requests: 'Count',
      Latency: 'Milliseconds',
      /** Responses with status 500. */
      ServerErrors: 'Count',
      /** Responses with status 429 or 503: overloaded, or a dependency is unavailable. */
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
  jobs: {
    dimensions: { Service: 'user-directory' },
    /** Imports and exports that an internal error ended. */
    units: { JobsFailed: 'Count' },
  },
  signIn: {
    dimensions: { Service: 'user-directory' },
    units: { SignIns: 'Count', SignInsRefused: 'Count' },
  },
  sessionEnd: {
    dimensions: { Service: 'user-directory' },
    /** From a block or password change until the last request that this process accepted from an earlier session. */
    units: { SessionOutlived: 'Milliseconds' },
  },
} as const satisfies Record<string, Entry>

/**
 * The log line fields from which CloudWatch extracts metrics (embedded metric format).
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
