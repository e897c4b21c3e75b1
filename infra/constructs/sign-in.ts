// Cognito: signs people and machines in and issues the tokens. The directory is the truth behind it: its triggers
// ask the directory at each first sign-in and before each token.
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
  type UserPoolClient,
  type UserPoolDomain,
} from 'aws-cdk-lib/aws-cognito'
import { Construct } from 'constructs'
import { triggerArn } from '../arns.ts'
import { accept } from '../nag.ts'
import { prefix } from '../names.ts'
import type { Stage, StageName } from '../stages.ts'
import { removalPolicy } from './log-group.ts'

export class SignIn extends Construct {
  readonly pool: UserPool
  readonly webClient: UserPoolClient
  readonly machineClient: UserPoolClient
  /** The access tokens that the API takes carry one of these. */
  readonly scopes: string[]
  readonly tokenUrl: string
  readonly domain: UserPoolDomain

  constructor(scope: Construct, id: string, stageName: StageName, stage: Stage) {
    super(scope, id)
    const name = prefix(stageName)
    this.pool = new UserPool(this, 'Pool', {
      userPoolName: name,
      signInAliases: { username: true },
      signInCaseSensitive: false,
      // Users come from the directory, at their first sign-in.
      selfSignUpEnabled: false,
      // As the directory's own rule, 8 to 128 characters of any kind: what it takes must be good here too.
      passwordPolicy: {
        minLength: 8,
        requireLowercase: false,
        requireUppercase: false,
        requireDigits: false,
        requireSymbols: false,
      },
      mfa: Mfa.OPTIONAL,
      mfaSecondFactor: { sms: false, otp: true },
      // There is no mail address or telephone number to send anything to; the directory changes passwords.
      accountRecovery: AccountRecovery.NONE,
      deletionProtection: stage.keepsData,
      removalPolicy: removalPolicy(stage),
    })
    const cfnPool = this.pool.node.defaultChild as CfnUserPool
    // By their names, since the functions come later and know the pool: each of the two needs the other's.
    cfnPool.lambdaConfig = {
      userMigration: triggerArn(Stack.of(this), stageName),
      // From version 2.0 on the answer is about access tokens too.
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

    const shared = {
      preventUserExistenceErrors: true,
      enableTokenRevocation: true,
      accessTokenValidity: Duration.minutes(15),
      idTokenValidity: Duration.minutes(15),
    }
    this.webClient = this.pool.addClient('Web', {
      ...shared,
      userPoolClientName: 'web',
      generateSecret: false,
      // The migration trigger needs the password itself, so SRP alone will not do.
      authFlows: { userPassword: true, userSrp: true },
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
        : // Unique among all of Amazon's customers in a region.
          { cognitoDomain: { domainPrefix: `${name}-${Stack.of(this).account}` } },
    )
    this.tokenUrl = `${this.domain.baseUrl()}/oauth2/token`

    // With scopes set, API Gateway's authorizer takes access tokens that carry at least one of them, and no ID
    // tokens. A machine's has what it was granted of `users/…`. A person's has what the app asked for on the
    // sign-in page, at least `openid`, or after signing in by password over Cognito's API always and only
    // `aws.cognito.signin.user.admin`. What a person may do comes from the groups, which the function looks at.
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-enable-cognito-user-pool.html
    this.scopes = ['users/read', 'users/write', 'openid', 'aws.cognito.signin.user.admin']

    accept(this.pool, {
      'AwsSolutions-COG1':
        'The directory decides which passwords are good: by their length, as NIST SP 800-63B advises.',
      'AwsSolutions-COG2': 'Users choose whether they want a second factor.',
      'AwsSolutions-COG3': 'Guessing is slowed down by the directory itself.',
      'AwsSolutions-COG8': 'What the plus plan costs for each user is not needed for that.',
    })
  }
}
