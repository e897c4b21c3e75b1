// What names resources that another stack makes: by their names, since each of the two needs the other's.
import { ArnFormat, type Stack } from 'aws-cdk-lib'
import { aliasName, type FunctionName, functionName } from './names.ts'
import type { StageName } from './stages.ts'

/** @param qualifier an alias; absent: the function itself */
export const functionArn = (stack: Stack, stage: StageName, name: FunctionName, qualifier?: string): string =>
  stack.formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: functionName(stage, name) + (qualifier ? `:${qualifier}` : ''),
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  })

/** The function that Cognito asks. */
export const triggerArn = (stack: Stack, stage: StageName): string =>
  functionArn(stack, stage, 'sign-in', aliasName)

/** The function that speaks to Cognito. */
export const userPoolFunctionArn = (stack: Stack, stage: StageName): string =>
  functionArn(stack, stage, 'user-pool', aliasName)
