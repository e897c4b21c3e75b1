// A VPC with isolated subnets, which have no route to or from the internet.
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
      // Nothing uses the default security group. Emptying it would need a function with permissions on all groups.
      restrictDefaultSecurityGroup: false,
    })
    this.s3 = this.vpc.addGatewayEndpoint('S3', { service: GatewayVpcEndpointAwsService.S3 })
    this.vpc.addFlowLog('FlowLog', {
      destination: FlowLogDestination.toCloudWatchLogs(logGroup(this, 'FlowLogs', { stage })),
      // Security groups define the accepted traffic. Rejected attempts are worth a log.
      trafficType: FlowLogTrafficType.REJECT,
    })
  }

  /** Creates a security group without any rules. */
  group(id: string, description: string): SecurityGroup {
    return new SecurityGroup(this, id, { vpc: this.vpc, description, allowAllOutbound: false })
  }
}

/** Allows the members of `from` to connect to `to` on one port. */
export function connect(
  from: SecurityGroup,
  to: SecurityGroup,
  { port, description }: { port: number; description: string },
): void {
  from.addEgressRule(to, Port.tcp(port), description)
  to.addIngressRule(from, Port.tcp(port), description)
}
