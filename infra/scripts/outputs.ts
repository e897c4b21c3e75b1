// Reads the outputs of a stage's stacks, and gets a token of its machine client.
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation'
import {
  CognitoIdentityProviderClient,
  DescribeUserPoolClientCommand,
} from '@aws-sdk/client-cognito-identity-provider'
import type { StageName } from '../stages.ts'
import { clientLimits, stackNames } from './stage.ts'

const tokenMsMax = 10_000

/** @throws Error if the stage is not deployed in this account and region */
export async function readOutputs(stage: StageName): Promise<Record<string, string>> {
  const client = new CloudFormationClient(clientLimits)
  try {
    const outputs: Record<string, string> = {}
    for (const StackName of stackNames(stage)) {
      const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName }))
      for (const { OutputKey = '', OutputValue = '' } of Stacks[0]?.Outputs ?? [])
        outputs[OutputKey] = OutputValue
    }
    return outputs
  } finally {
    client.destroy()
  }
}

/** @returns an access token of the stage's machine client, which may read and change users */
export async function machineToken(outputs: Record<string, string>): Promise<string> {
  const { UserPoolId, MachineClientId, TokenUrl = '' } = outputs
  const client = new CognitoIdentityProviderClient(clientLimits)
  try {
    const { UserPoolClient } = await client.send(
      new DescribeUserPoolClientCommand({ UserPoolId, ClientId: MachineClientId }),
    )
    const credentials = `${MachineClientId}:${UserPoolClient?.ClientSecret}`
    const response = await fetch(TokenUrl, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'users/write' }),
      redirect: 'error',
      signal: AbortSignal.timeout(tokenMsMax),
    })
    // An error answer contains no secret.
    if (!response.ok)
      throw new Error(`${TokenUrl} issued no token: ${response.status} ${await response.text()}`)
    return ((await response.json()) as { access_token: string }).access_token
  } finally {
    client.destroy()
  }
}
