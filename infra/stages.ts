// How the stages differ: in this and in nothing else.
import { type ILambdaDeploymentConfig, LambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy'

export type Stage = {
  /** Availability zones; each has a subnet of its own. */
  zones: number
  /** Zones with interface endpoints, which AWS bills by the hour each. The other zones reach them across. */
  endpointZones: number
  /**
   * Database, avatars, user pool and logs outlive their stack, and those that can be are protected against
   * deletion.
   */
  keepsData: boolean
  database: {
    instanceType: string
    storageGb: number
    storageGbMax: number
    /** A standby in another zone takes over when the instance fails. */
    standby: boolean
    backupDays: number
    /**
     * RDS Proxy shares the instance's connections between all functions. Without it each function holds its own,
     * and logs in to the instance by IAM.
     */
    proxy: boolean
    /** What the instance's memory is good for: its bytes / 9,531,392. */
    connectionsMax: number
  }
  cache: {
    nodeType: string
    /** With one or more, a replica takes over when the primary fails. */
    replicas: number
  }
  /** How the API's traffic moves from one version to the next. */
  shift: ILambdaDeploymentConfig
  logDays: 7 | 90
  /** Requests to the API over all callers. */
  throttle: { perSecond: number; burst: number }
  /** AWS WAF before the API. Absent: only `throttle` limits callers. */
  firewall?: {
    /** Requests of one address in five minutes. */
    requestsPerAddress: number
  }
  /** Alarms, the topic that they notify, and the dashboard. */
  isWatched: boolean
  /** An event bus on which changes of users are published. */
  hasEvents: boolean
  /** How often the outbox is delivered, and for how long the function works each time. */
  delivery: { everyMinutes: number; seconds: number }
  /**
   * Reserved concurrency. Each invocation of the API holds up to ten of the proxy's connections; sign-ins have
   * their own share, so that a storm of them leaves the API alone. Absent: no function reserves any, as a new
   * account with a quota of 10 or 50 invocations needs it.
   */
  concurrency?: { api: number; signIn: number }
  /** Where the sign-in page may send people back to: the addresses of your web applications. */
  webAddresses: string[]
  /** Absent: AWS's own domain names. docs/deployment.md explains how to get the certificates. */
  domains?: Domains
}

/** Names of your own, with the ARNs of their certificates in AWS Certificate Manager. */
export type Domains = {
  api: string
  /** In the stage's region. */
  apiCertificateArn: string
  signIn: string
  avatars: string
  /** Of `signIn` and `avatars`, in us-east-1: CloudFront takes certificates from there alone. */
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
    isWatched: true,
    hasEvents: true,
    delivery: { everyMinutes: 1, seconds: 60 },
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
    isWatched: false,
    hasEvents: false,
    delivery: { everyMinutes: 5, seconds: 20 },
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
    isWatched: true,
    hasEvents: true,
    delivery: { everyMinutes: 1, seconds: 60 },
    concurrency: { api: 200, signIn: 50 },
    webAddresses: ['https://users.example.com/'],
  },
} satisfies Record<string, Stage>

export type StageName = keyof typeof stages
