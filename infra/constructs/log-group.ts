// Log groups with a retention time.
import { RemovalPolicy } from 'aws-cdk-lib'
import { LogGroup } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import type { Stage } from '../stages.ts'

/** @param options.name for logs to which AWS gives a fixed name */
export function logGroup(
  scope: Construct,
  id: string,
  { stage, name }: { stage: Stage; name?: string },
): LogGroup {
  return new LogGroup(scope, id, {
    ...(name && { logGroupName: name }),
    retention: stage.logDays,
    removalPolicy: removalPolicy(stage),
  })
}

/** A failed first deployment removes its resources, so that their names are free for the next attempt. */
export function removalPolicy({ keepsData }: Stage): RemovalPolicy {
  return keepsData ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY
}
