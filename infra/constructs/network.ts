// Isolated subnets: no way to the internet and none from it.
import {
  FlowLogDestination,
  FlowLogTrafficType,
  type GatewayVpcEndpoint,
  GatewayVpcEndpointAwsService,
  IpAddresses,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Stage } from '../stages.ts'
import { logGroup } from './log-group.ts'

export class Network extends Construct {
  readonly vpc: Vpc
  readonly subnets = { subnetType: SubnetType.PRIVATE_ISOLATED }
  readonly s3: GatewayVpcEndpoint

  constructor(scope: Construct, id: string, stage: Stage) {
    super(scope, id)
    this.vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr('10.0.0.0/16'),
      maxAzs: stage.zones,
      natGateways: 0,
      createInternetGateway: false,
      subnetConfiguration: [{ name: 'Isolated', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 20 }],
      // Nothing is in the default security group, and emptying it would take a function with rights on all.
      restrictDefaultSecurityGroup: false,
    })
    this.s3 = this.vpc.addGatewayEndpoint('S3', { service: GatewayVpcEndpointAwsService.S3 })
    this.vpc.addFlowLog('FlowLog', {
      destination: FlowLogDestination.toCloudWatchLogs(logGroup(this, 'FlowLogs', stage)),
      // What is let through is known by the security groups; who tries what is not allowed is worth knowing.
      trafficType: FlowLogTrafficType.REJECT,
    })
  }

  /** A security group that may reach nothing until it is told. */
  group(id: string, description: string): SecurityGroup {
    return new SecurityGroup(this, id, { vpc: this.vpc, description, allowAllOutbound: false })
  }
}

/** Lets the members of `from` reach `to` on one port. */
export function connect(from: SecurityGroup, to: SecurityGroup, port: number, what: string): void {
  from.addEgressRule(to, Port.tcp(port), what)
  to.addIngressRule(from, Port.tcp(port), what)
}
