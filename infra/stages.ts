// How the stages differ: in this and in nothing else.
import { type ILambdaDeploymentConfig, LambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy'

export type Stage = {
  /** Availability zones; each has a subnet of its own. */
  zones: number
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
  /** Requests of one address in five minutes. */
  requestsPerAddress: number
  /**
   * Reserved concurrency. Each invocation of the API holds up to ten of the proxy's connections; sign-ins have
   * their own share, so that a storm of them leaves the API alone. Absent: no function reserves any, as a new
   * account with a quota of 10 or 50 invocations needs it.
   */
  concurrency?: { api: number; signIn: number }
  /** Where the sign-in page may send people back to: the addresses of your web applications. */
  webAddresses: string[]
}

export const stages = {
  dev: {
    zones: 2,
    keepsData: false,
    database: {
      instanceType: 't4g.micro',
      storageGb: 20,
      storageGbMax: 50,
      standby: false,
      backupDays: 1,
      connectionsMax: 100,
    },
    cache: { nodeType: 'cache.t4g.micro', replicas: 0 },
    shift: LambdaDeploymentConfig.ALL_AT_ONCE,
    logDays: 7,
    throttle: { perSecond: 50, burst: 100 },
    requestsPerAddress: 2_000,
    webAddresses: ['http://localhost:3000/'],
  },
  prod: {
    zones: 3,
    keepsData: true,
    database: {
      instanceType: 'm8g.large',
      storageGb: 100,
      storageGbMax: 1_000,
      standby: true,
      backupDays: 35,
      connectionsMax: 900,
    },
    cache: { nodeType: 'cache.m7g.large', replicas: 1 },
    shift: LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES,
    logDays: 90,
    throttle: { perSecond: 1_000, burst: 2_000 },
    requestsPerAddress: 20_000,
    concurrency: { api: 200, signIn: 50 },
    webAddresses: ['https://users.example.com/'],
  },
} satisfies Record<string, Stage>

export type StageName = keyof typeof stages
