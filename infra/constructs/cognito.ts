// Cognito signs in people and machines and issues tokens. The directory is the source of truth: Cognito's triggers ask it
// at each user's first sign-in and before each token.
import { Duration, Stack } from 'aws-cdk-lib'
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager'
import {
  AccountRecovery,
  type CfnUserPool,
  CfnUserPoolGroup,
  Mfa,
  OAuthScope,
  ResourceServerScope,
  UserPool,
  UserPoolClient,
  type UserPoolDomain,
} from 'aws-cdk-lib/aws-cognito'
import { Construct } from 'constructs'
import { providerAddresses } from '../../src/handler/http/console/provider-addresses.ts'
import { triggerArn } from '../arns.ts'
import { accept } from '../nag.ts'
import { prefix } from '../names.ts'
import type { StageProps } from '../stages.ts'
import { removalPolicy } from './log-group.ts'

const shared = {
  preventUserExistenceErrors: true,
  enableTokenRevocation: true,
  accessTokenValidity: Duration.minutes(15),
  idTokenValidity: Duration.minutes(15),
}
// The migration trigger needs the plain password, which SRP does not send.
const passwordFlows = { userPassword: true, userSrp: true }

export class Cognito extends Construct {
  readonly pool: UserPool
  readonly webClient: UserPoolClient
  readonly machineClient: UserPoolClient
  /** The API accepts access tokens with at least one of these. */
  readonly scopes: string[]
  readonly tokenUrl: string
  readonly domain: UserPoolDomain

  constructor(scope: Construct, id: string, { stageName, stage }: StageProps) {
    super(scope, id)
    const name = prefix(stageName)
    this.pool = new UserPool(this, 'Pool', {
      userPoolName: name,
      signInAliases: { username: true },
      signInCaseSensitive: false,
      // Users are migrated from the directory at their first sign-in.
      selfSignUpEnabled: false,
      // As permissive as the directory's rule of 8 to 128 characters, so that each of its passwords is accepted here.
      passwordPolicy: {
        minLength: 8,
        requireLowercase: false,
        requireUppercase: false,
        requireDigits: false,
        requireSymbols: false,
      },
      mfa: Mfa.OPTIONAL,
      mfaSecondFactor: { sms: false, otp: true },
      // The directory changes passwords. It has no verified addresses to which Cognito could send a code.
      accountRecovery: AccountRecovery.NONE,
      deletionProtection: stage.keepsData,
      removalPolicy: removalPolicy(stage),
    })
    const cfnPool = this.pool.node.defaultChild as CfnUserPool
    // ARNs built from names, because the functions are created later and refer to the pool.
    cfnPool.lambdaConfig = {
      userMigration: triggerArn(Stack.of(this), stageName),
      // Version 2 events also customise access tokens.
      preTokenGenerationConfig: { lambdaArn: triggerArn(Stack.of(this), stageName), lambdaVersion: 'V2_0' },
    }

    for (const [group, description] of [
      ['admins', 'May do everything'],
      ['readers', 'May read everything'],
    ] as const)
      new CfnUserPoolGroup(this, group, {
        userPoolId: this.pool.userPoolId,
        groupName: group,
        description,
      })

    const read = new ResourceServerScope({ scopeName: 'read', scopeDescription: 'Read users' })
    const write = new ResourceServerScope({ scopeName: 'write', scopeDescription: 'Read and change users' })
    const server = this.pool.addResourceServer('Users', { identifier: 'users', scopes: [read, write] })
    const users = [OAuthScope.resourceServer(server, read), OAuthScope.resourceServer(server, write)]

    this.webClient = this.pool.addClient('Web', {
      ...shared,
      userPoolClientName: 'web',
      generateSecret: false,
      authFlows: passwordFlows,
      oAuth: {
        flows: { authorizationCodeGrant: true },
        scopes: [OAuthScope.OPENID, ...users],
        callbackUrls: stage.webAddresses,
        logoutUrls: stage.webAddresses,
      },
      refreshTokenValidity: Duration.days(7),
    })
    this.machineClient = this.pool.addClient('Machine', {
      ...shared,
      userPoolClientName: 'machine',
      generateSecret: true,
      authFlows: {},
      oAuth: { flows: { clientCredentials: true }, scopes: users },
    })
    const { domains } = stage
    this.domain = this.pool.addDomain(
      'Domain',
      domains
        ? {
            customDomain: {
              domainName: domains.signIn,
              certificate: Certificate.fromCertificateArn(this, 'Certificate', domains.edgeCertificateArn),
            },
          }
        : // Must be unique in the region among all AWS accounts.
          { cognitoDomain: { domainPrefix: `${name}-${Stack.of(this).account}` } },
    )
    this.tokenUrl = `${this.domain.baseUrl()}/oauth2/token`

    // Machines have `users/…`, people `openid` from the sign-in page or `aws.cognito.signin.user.admin` from Cognito's API.
    // With scopes set, the authorizer rejects ID tokens. People's permissions come from their groups, in the function.
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-enable-cognito-user-pool.html
    this.scopes = ['users/read', 'users/write', 'openid', 'aws.cognito.signin.user.admin']

    accept(this.pool, {
      'AwsSolutions-COG1': 'The directory checks the length of passwords, as NIST SP 800-63B advises.',
      'AwsSolutions-COG2': 'A second factor is optional for users.',
      'AwsSolutions-COG3': 'The directory itself throttles password attempts.',
      'AwsSolutions-COG8': 'The Plus plan’s price for each user is not justified for that.',
    })
  }

  /**
   * The console's client, in the stack of its host.
   * @param origin the host's
   */
  addConsoleClient(scope: Construct, origin: string): UserPoolClient {
    const { redirectUri, afterSignOutUri } = providerAddresses(origin)
    return new UserPoolClient(scope, 'ConsoleClient', {
      ...shared,
      userPool: this.pool,
      userPoolClientName: 'console',
      // The function that calls the sign-in endpoints reads it from the pool.
      generateSecret: true,
      authFlows: passwordFlows,
      oAuth: {
        flows: { authorizationCodeGrant: true },
        scopes: [OAuthScope.OPENID],
        callbackUrls: [redirectUri],
        logoutUrls: [afterSignOutUri],
      },
      // A session of the console ends by then (src/services/console/sessions.ts).
      refreshTokenValidity: Duration.hours(12),
    })
  }
}
