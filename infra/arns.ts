// ARNs built from names, because the two stacks need each other's resources.
import { ArnFormat, type Stack } from 'aws-cdk-lib'
import { aliasName, type FunctionName, functionName } from './names.ts'
import type { StageName } from './stages.ts'

/** @param options.alias if absent, the function itself */
export const functionArn = (
  stack: Stack,
  { stageName, name, alias }: { stageName: StageName; name: FunctionName; alias?: string },
): string =>
  stack.formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: functionName(stageName, name) + (alias ? `:${alias}` : ''),
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  })

/** The function behind Cognito's triggers. */
export const triggerArn = (stack: Stack, stageName: StageName): string =>
  functionArn(stack, { stageName, name: 'sign-in', alias: aliasName })

/** The functions that call Cognito. */
export const cognitoFunctionArns = (stack: Stack, stageName: StageName): string[] =>
  (['user-pool', 'openid-provider'] as const).map((name) =>
    functionArn(stack, { stageName, name, alias: aliasName }),
  )
