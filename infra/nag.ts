// Findings of cdk-nag that are accepted, each beside what it is about and with its reason.
import { Stack, Validations } from 'aws-cdk-lib'
import type { IConstruct } from 'constructs'

/** @param reasons by the finding's id, such as `AwsSolutions-IAM5[Resource::*]` */
export function accept(construct: IConstruct, reasons: Record<string, string>): void {
  for (const [id, reason] of Object.entries(reasons)) Validations.of(construct).acknowledge({ id, reason })
}

/** The finding about a policy with this wildcard in a resource's name, as cdk-nag spells it. */
export function wildcardFinding(scope: IConstruct, resource: string): string {
  const spell = (part: unknown): string => {
    if (typeof part === 'string') return part
    const { Ref, 'Fn::Join': join } = part as { Ref?: string; 'Fn::Join'?: [string, unknown[]] }
    return join ? join[1].map(spell).join(join[0]) : `<${Ref}>`
  }
  return `AwsSolutions-IAM5[Resource::${spell(Stack.of(scope).resolve(resource))}]`
}
