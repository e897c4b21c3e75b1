// What holds data, and what it lives in: the network, PostgreSQL, Valkey, the avatars, the user pool, the event bus.
import { CfnOutput, Duration, Fn, Stack, type StackProps } from 'aws-cdk-lib'
import { EventBus } from 'aws-cdk-lib/aws-events'
import type { Construct } from 'constructs'
import { Avatars } from './constructs/avatars.ts'
import { Cache } from './constructs/cache.ts'
import { Database } from './constructs/database.ts'
import { Endpoints } from './constructs/endpoints.ts'
import { Network } from './constructs/network.ts'
import { SignIn } from './constructs/sign-in.ts'
import { prefix } from './names.ts'
import type { Stage, StageName } from './stages.ts'

export class DataStack extends Stack {
  readonly network: Network
  readonly endpoints: Endpoints
  readonly database: Database
  readonly cache: Cache
  readonly avatars: Avatars
  readonly signIn: SignIn
  readonly bus: EventBus | undefined
  readonly #zones: number

  constructor(scope: Construct, stageName: StageName, stage: Stage, props?: StackProps) {
    super(scope, `${prefix(stageName)}-data`, props)
    this.#zones = stage.zones
    this.network = new Network(this, 'Network', stage)
    this.database = new Database(this, 'Database', stageName, stage, this.network)
    this.cache = new Cache(this, 'Cache', stageName, stage, this.network)
    this.avatars = new Avatars(this, 'Avatars', stageName, stage, this.network)
    this.signIn = new SignIn(this, 'SignIn', stageName, stage)
    this.bus = stage.hasEvents ? this.#addBus(stageName, stage) : undefined
    this.endpoints = new Endpoints(this, 'Endpoints', {
      stageName,
      stage,
      network: this.network,
      bus: this.bus,
    })

    new CfnOutput(this, 'CacheName', { value: this.cache.name })
    new CfnOutput(this, 'UserPoolId', { value: this.signIn.pool.userPoolId })
    new CfnOutput(this, 'WebClientId', { value: this.signIn.webClient.userPoolClientId })
    new CfnOutput(this, 'MachineClientId', { value: this.signIn.machineClient.userPoolClientId })
    new CfnOutput(this, 'TokenUrl', { value: this.signIn.tokenUrl })
    if (stage.domains) {
      // Where the CNAME records of the names must point.
      new CfnOutput(this, 'SignInDomainTarget', { value: this.signIn.domain.cloudFrontEndpoint })
      new CfnOutput(this, 'AvatarDomainTarget', { value: this.avatars.distribution.distributionDomainName })
    }
    new CfnOutput(this, 'AvatarBaseUrl', { value: this.avatars.baseUrl })
    if (this.bus) new CfnOutput(this, 'EventBusName', { value: this.bus.eventBusName })
  }

  #addBus(stageName: StageName, stage: Stage): EventBus {
    const bus = new EventBus(this, 'Events', {
      eventBusName: prefix(stageName),
      description: 'What happens to users: user.created, user.updated and so on',
    })
    // A subscriber that missed events can have them replayed.
    bus.archive('Archive', {
      archiveName: prefix(stageName),
      eventPattern: { account: [this.account] },
      retention: Duration.days(stage.logDays),
    })
    return bus
  }

  /** As many as the stage asks for: the CDK takes no more than two unless it may ask AWS which there are. */
  override get availabilityZones(): string[] {
    return Array.from({ length: this.#zones }, (_, at) => Fn.select(at, Fn.getAzs()))
  }
}
