// The stack that holds data: the network, PostgreSQL, Valkey, the avatars, the user pool and the event bus.
import { CfnOutput, Duration, Fn, Stack } from 'aws-cdk-lib'
import { EventBus } from 'aws-cdk-lib/aws-events'
import type { Construct } from 'constructs'
import { Avatars } from './constructs/avatars.ts'
import { Cache } from './constructs/cache.ts'
import { Cognito } from './constructs/cognito.ts'
import { Database } from './constructs/database.ts'
import { Endpoints } from './constructs/endpoints.ts'
import { Network } from './constructs/network.ts'
import { prefix } from './names.ts'
import type { StageProps } from './stages.ts'

export class DataStack extends Stack {
  readonly network: Network
  readonly endpoints: Endpoints
  readonly database: Database
  readonly cache: Cache
  readonly avatars: Avatars
  readonly cognito: Cognito
  readonly bus: EventBus | undefined
  readonly #zones: number

  constructor(scope: Construct, { stageName, stage }: StageProps) {
    super(scope, `${prefix(stageName)}-data`, { terminationProtection: stage.keepsData })
    this.#zones = stage.zones
    const network = new Network(this, 'Network', stage)
    this.network = network
    this.database = new Database(this, 'Database', { stageName, stage, network })
    this.cache = new Cache(this, 'Cache', { stageName, stage, network })
    this.avatars = new Avatars(this, 'Avatars', { stageName, stage, network })
    this.cognito = new Cognito(this, 'Cognito', { stageName, stage })
    this.bus = stage.hasEvents ? this.#addBus({ stageName, stage }) : undefined
    this.endpoints = new Endpoints(this, 'Endpoints', { stageName, stage, network, bus: this.bus })

    new CfnOutput(this, 'UserPoolId', { value: this.cognito.pool.userPoolId })
    new CfnOutput(this, 'WebClientId', { value: this.cognito.webClient.userPoolClientId })
    new CfnOutput(this, 'MachineClientId', { value: this.cognito.machineClient.userPoolClientId })
    new CfnOutput(this, 'TokenUrl', { value: this.cognito.tokenUrl })
    // The target for the CNAME record.
    if (stage.domains)
      new CfnOutput(this, 'SignInDomainTarget', { value: this.cognito.domain.cloudFrontEndpoint })
    if (this.bus) new CfnOutput(this, 'EventBusName', { value: this.bus.eventBusName })
  }

  #addBus({ stageName, stage }: StageProps): EventBus {
    const bus = new EventBus(this, 'Events', {
      eventBusName: prefix(stageName),
      description: 'Events about users, such as user.created and user.updated',
    })
    // A subscriber that missed events can have them replayed.
    bus.archive('Archive', {
      archiveName: prefix(stageName),
      eventPattern: { account: [this.account] },
      retention: Duration.days(stage.logDays),
    })
    return bus
  }

  /** As many zones as the stage needs. Without a call to AWS the CDK would assume two. */
  override get availabilityZones(): string[] {
    return Array.from({ length: this.#zones }, (_, at) => Fn.select(at, Fn.getAzs()))
  }
}
