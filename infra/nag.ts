// Accepts findings of cdk-nag, each with its reason and at the construct it concerns.
import { Stack, Validations } from 'aws-cdk-lib'
import type { IConstruct } from 'constructs'

/** @param reasons by the finding's id, such as `AwsSolutions-IAM5[Resource::*]` */
export function accept(construct: IConstruct, reasons: Record<string, string>): void {
  for (const [id, reason] of Object.entries(reasons)) Validations.of(construct).acknowledge({ id, reason })
}

/** @returns the id of cdk-nag's finding about a policy with this wildcard in a resource */
export function wildcardFinding(scope: IConstruct, resource: string): string {
  const spell = (part: unknown): string => {
    if (typeof part === 'string') return part
    const {
      Ref,
      'Fn::GetAtt': attribute,
      'Fn::Join': join,
    } = part as { Ref?: string; 'Fn::GetAtt'?: string[]; 'Fn::Join'?: [string, unknown[]] }
    return join ? join[1].map(spell).join(join[0]) : `<${Ref ?? attribute?.join('.')}>`
  }
  return `AwsSolutions-IAM5[Resource::${spell(Stack.of(scope).resolve(resource))}]`
}
