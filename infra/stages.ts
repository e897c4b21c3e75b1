// The stages, and all settings in which they differ.
import { type ILambdaDeploymentConfig, LambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy'

export type Stage = {
  /** Availability zones, each with its own subnet. */
  zones: number
  /** Zones with interface endpoints, which AWS bills by the hour. Other zones use the endpoints of these. */
  endpointZones: number
  /**
   * Keeps database, avatars, user pool and logs when their stack is deleted, and protects them against deletion where
   * possible.
   */
  keepsData: boolean
  database: {
    instanceType: string
    storageGb: number
    storageGbMax: number
    /** Runs a standby in another zone, which takes over if the instance fails. */
    standby: boolean
    backupDays: number
    /**
     * Uses RDS Proxy to share the instance's connections between all functions. Without it each function opens its own,
     * and logs in to the instance with IAM.
     */
    proxy: boolean
    /** The instance's limit: its memory in bytes / 9,531,392. */
    connectionsMax: number
  }
  cache: {
    nodeType: string
    /** If there is one, it takes over when the primary fails. In cluster mode each shard has this many. */
    replicas: number
  }
  /**
   * Shards of a cache in cluster mode. If absent or 0, the cache is a single server. docs/deployment.md explains how to change
   * between the two.
   */
  cacheShards?: number
  /** How the API's traffic shifts from one version to the next. */
  shift: ILambdaDeploymentConfig
  logDays: 7 | 90
  /** The limit of requests to the API, over all callers. */
  throttle: { perSecond: number; burst: number }
  /** AWS WAF in front of the API. If absent, only `throttle` limits callers. */
  firewall?: {
    /** The limit of requests from one address in five minutes. */
    requestsPerAddress: number
  }
  /** Creates alarms, their topic and the dashboard. */
  hasMonitoring: boolean
  /** Creates an event bus, on which changes of users are published. */
  hasEvents: boolean
  /** How often the outbox is delivered, and the time limit of each run. */
  delivery: { everyMinutes: number; seconds: number }
  /** How long a started import or export waits at most until it runs. */
  jobsEveryMinutes: number
  /**
   * Reserved concurrency. An invocation of the API uses up to ten connections of the proxy. Sign-ins have their own share,
   * so that a burst of them does not affect the API. Leave it out in a new account with a quota of 10 or 50 invocations.
   */
  concurrency?: { api: number; signIn: number }
  /** The addresses of your web applications, to which the sign-in page may redirect. */
  webAddresses: string[]
  /** If absent, AWS's own domain names. docs/deployment.md explains how to get the certificates. */
  domains?: Domains
}

/** Custom domain names, and the ARNs of their certificates in AWS Certificate Manager. */
export type Domains = {
  api: string
  /** In the stage's region. */
  apiCertificateArn: string
  signIn: string
  /** The host of console, API and avatars. */
  site: string
  /** For `signIn` and `site`, in us-east-1 as CloudFront requires. */
  edgeCertificateArn: string
}

export const stages = {
  dev: {
    zones: 2,
    endpointZones: 2,
    keepsData: false,
    database: {
      instanceType: 't4g.micro',
      storageGb: 20,
      storageGbMax: 50,
      standby: false,
      backupDays: 1,
      proxy: true,
      connectionsMax: 100,
    },
    cache: { nodeType: 'cache.t4g.micro', replicas: 0 },
    shift: LambdaDeploymentConfig.ALL_AT_ONCE,
    logDays: 7,
    throttle: { perSecond: 50, burst: 100 },
    firewall: { requestsPerAddress: 2_000 },
    hasMonitoring: true,
    hasEvents: true,
    delivery: { everyMinutes: 1, seconds: 60 },
    jobsEveryMinutes: 1,
    webAddresses: ['http://localhost:3000/'],
  },
  // Costs at most 40 dollars a month when idle; docs/costs.md lists its trade-offs.
  small: {
    zones: 2,
    endpointZones: 1,
    keepsData: true,
    database: {
      instanceType: 't4g.micro',
      storageGb: 20,
      storageGbMax: 50,
      standby: false,
      backupDays: 7,
      proxy: false,
      connectionsMax: 100,
    },
    cache: { nodeType: 'cache.t4g.micro', replicas: 0 },
    shift: LambdaDeploymentConfig.ALL_AT_ONCE,
    logDays: 7,
    throttle: { perSecond: 20, burst: 50 },
    hasMonitoring: false,
    hasEvents: false,
    delivery: { everyMinutes: 5, seconds: 20 },
    jobsEveryMinutes: 5,
    webAddresses: ['https://users.example.com/'],
  },
  prod: {
    zones: 3,
    endpointZones: 3,
    keepsData: true,
    database: {
      instanceType: 'm8g.large',
      storageGb: 100,
      storageGbMax: 1_000,
      standby: true,
      backupDays: 35,
      proxy: true,
      connectionsMax: 900,
    },
    cache: { nodeType: 'cache.m7g.large', replicas: 1 },
    shift: LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES,
    logDays: 90,
    throttle: { perSecond: 1_000, burst: 2_000 },
    firewall: { requestsPerAddress: 20_000 },
    hasMonitoring: true,
    hasEvents: true,
    delivery: { everyMinutes: 1, seconds: 60 },
    jobsEveryMinutes: 1,
    concurrency: { api: 200, signIn: 50 },
    webAddresses: ['https://users.example.com/'],
  },
} satisfies Record<string, Stage>

export type StageName = keyof typeof stages

export type StageProps = { stageName: StageName; stage: Stage }
