// The two AWS services, beside S3, that functions in the isolated subnets call: EventBridge, and Lambda for
// the one function outside of them. RDS and ElastiCache take signed passwords and need none; logs and traces leave
// by Lambda itself.
import { Stack } from 'aws-cdk-lib'
import { InterfaceVpcEndpointAwsService, Peer, Port, type SecurityGroup } from 'aws-cdk-lib/aws-ec2'
import type { IEventBus } from 'aws-cdk-lib/aws-events'
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import { userPoolFunctionArn } from '../arns.ts'
import type { Stage, StageName } from '../stages.ts'
import { connect, type Network } from './network.ts'

export class Endpoints extends Construct {
  /** Members may call AWS: by these endpoints, and S3. */
  readonly clients: SecurityGroup

  constructor(
    scope: Construct,
    id: string,
    {
      stageName,
      stage,
      network,
      bus,
    }: { stageName: StageName; stage: Stage; network: Network; bus: IEventBus | undefined },
  ) {
    super(scope, id)
    const stack = Stack.of(this)
    this.clients = network.group('AwsClients', 'Functions that call AWS')
    // S3's addresses are not known here. From these subnets there is no way to any others.
    this.clients.addEgressRule(Peer.anyIpv4(), Port.HTTPS, 'AWS')
    const group = network.group('EndpointGroup', 'Interface endpoints')
    connect(this.clients, group, 443, 'AWS')

    const endpoint = (
      name: string,
      service: InterfaceVpcEndpointAwsService,
      action: string,
      resource: string,
    ) =>
      network.vpc
        .addInterfaceEndpoint(name, {
          service,
          subnets: { subnets: network.vpc.isolatedSubnets.slice(0, stage.endpointZones) },
          securityGroups: [group],
          privateDnsEnabled: true,
          open: false,
        })
        .addToPolicy(
          new PolicyStatement({
            principals: [new AnyPrincipal()],
            actions: [action],
            resources: [resource],
            conditions: { StringEquals: { 'aws:PrincipalAccount': stack.account } },
          }),
        )
    if (bus)
      endpoint('Events', InterfaceVpcEndpointAwsService.EVENTBRIDGE, 'events:PutEvents', bus.eventBusArn)
    endpoint(
      'Lambda',
      InterfaceVpcEndpointAwsService.LAMBDA,
      'lambda:InvokeFunction',
      userPoolFunctionArn(stack, stageName),
    )
  }
}
