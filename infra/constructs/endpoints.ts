// Interface endpoints for functions in the isolated subnets: EventBridge, and Lambda to call the function outside the VPC.
// IAM logins to RDS and ElastiCache need no endpoint, and Lambda itself ships logs and traces.
import { Stack } from 'aws-cdk-lib'
import { InterfaceVpcEndpointAwsService, Peer, Port, type SecurityGroup } from 'aws-cdk-lib/aws-ec2'
import type { IEventBus } from 'aws-cdk-lib/aws-events'
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import { cognitoFunctionArns } from '../arns.ts'
import type { StageProps } from '../stages.ts'
import { connect, type Network } from './network.ts'

export class Endpoints extends Construct {
  /** Members may call AWS through these endpoints, and S3. */
  readonly clients: SecurityGroup

  constructor(
    scope: Construct,
    id: string,
    { stageName, stage, network, bus }: StageProps & { network: Network; bus: IEventBus | undefined },
  ) {
    super(scope, id)
    const stack = Stack.of(this)
    this.clients = network.group('AwsClients', 'Functions that call AWS')
    // S3's addresses are not known here. The isolated subnets have no route to any other address.
    this.clients.addEgressRule(Peer.anyIpv4(), Port.HTTPS, 'AWS')
    const group = network.group('EndpointGroup', 'Interface endpoints')
    connect(this.clients, group, { port: 443, description: 'AWS' })

    const addEndpoint = (
      name: string,
      service: InterfaceVpcEndpointAwsService,
      { action, resources }: { action: string; resources: string[] },
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
            resources,
            conditions: { StringEquals: { 'aws:PrincipalAccount': stack.account } },
          }),
        )
    if (bus)
      addEndpoint('Events', InterfaceVpcEndpointAwsService.EVENTBRIDGE, {
        action: 'events:PutEvents',
        resources: [bus.eventBusArn],
      })
    addEndpoint('Lambda', InterfaceVpcEndpointAwsService.LAMBDA, {
      action: 'lambda:InvokeFunction',
      resources: cognitoFunctionArns(stack, stageName),
    })
  }
}
