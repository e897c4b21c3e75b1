// Reads the secret of an app client from its user pool, so that no setting has to hold it.
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'

const callMsMax = 4_000

/** @throws Error if the pool has no such client, or the client has no secret; the SDK's errors */
export async function readClientSecret(userPoolId: string, clientId: string): Promise<string> {
  const client = openAwsClient(
    () => import('@aws-sdk/client-cognito-identity-provider'),
    (sdk) =>
      new sdk.CognitoIdentityProviderClient({
        region: userPoolId.slice(0, userPoolId.indexOf('_')),
        maxAttempts: 1,
        requestHandler: attemptLimits(callMsMax),
      }),
  )
  try {
    const { UserPoolClient } = await client.call(
      (sdk, pool, limit) =>
        pool.send(
          new sdk.DescribeUserPoolClientCommand({ UserPoolId: userPoolId, ClientId: clientId }),
          limit,
        ),
      callMsMax,
    )
    const secret = UserPoolClient?.ClientSecret
    if (secret === undefined) throw new Error(`the app client ${clientId} of ${userPoolId} has no secret`)
    return secret
  } finally {
    await client.close()
  }
}
