// Log groups, all with an end to what they keep.
import { RemovalPolicy } from 'aws-cdk-lib'
import { LogGroup } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import type { Stage } from '../stages.ts'

/** @param name given where AWS expects a certain one */
export function logGroup(scope: Construct, id: string, stage: Stage, name?: string): LogGroup {
  return new LogGroup(scope, id, {
    ...(name && { logGroupName: name }),
    retention: stage.logDays,
    removalPolicy: removalPolicy(stage),
  })
}

/** A failed first deployment removes what it created, so that the same names are free for the next attempt. */
export function removalPolicy({ keepsData }: Stage): RemovalPolicy {
  return keepsData ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY
}
