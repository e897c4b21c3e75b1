// A private bucket: avatars, which CloudFront serves, and the files of jobs, which it must not serve.
import { Duration, Stack } from 'aws-cdk-lib'
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager'
import {
  AllowedMethods,
  CachePolicy,
  Distribution,
  HttpVersion,
  ResponseHeadersPolicy,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront'
import { S3BucketOrigin } from 'aws-cdk-lib/aws-cloudfront-origins'
import { AnyPrincipal, Effect, type IRole, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import { accept, wildcardFinding } from '../nag.ts'
import { prefix } from '../names.ts'
import type { StageProps } from '../stages.ts'
import { removalPolicy } from './log-group.ts'
import type { Network } from './network.ts'

// Longer than the service keeps a file of a job; a week is its longest (src/services/jobs/clean-up.ts).
const jobFileDays = 14

/** How long CloudFront may still serve an erased avatar. */
const edgeTtl = Duration.minutes(5)

export class Avatars extends Construct {
  readonly bucketName: string
  readonly distribution: Distribution
  /** The prefix of every `avatar_url`. */
  readonly baseUrl: string
  // Built from the name, so that other stacks need no reference to this one.
  readonly #bucketArn: string
  readonly #objects: string
  readonly #jobFiles: string

  constructor(
    scope: Construct,
    id: string,
    { stageName, stage, network }: StageProps & { network: Network },
  ) {
    super(scope, id)
    const { account, region, partition } = Stack.of(this)
    this.bucketName = `${prefix(stageName)}-avatars-${account}-${region}`
    this.#bucketArn = `arn:${partition}:s3:::${this.bucketName}`
    this.#objects = `${this.#bucketArn}/avatars/*`
    this.#jobFiles = `${this.#bucketArn}/jobs/*`
    const shared = {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      removalPolicy: removalPolicy(stage),
      // CloudFormation can delete empty buckets only.
      autoDeleteObjects: !stage.keepsData,
    }
    const logs = new Bucket(this, 'AccessLogs', {
      ...shared,
      // CloudFront writes its logs with an ACL.
      objectOwnership: ObjectOwnership.BUCKET_OWNER_PREFERRED,
      lifecycleRules: [{ expiration: Duration.days(stage.logDays) }],
    })
    // Not versioned, because an erased user's picture must be gone. The daily job removes orphans.
    const bucket = new Bucket(this, 'Bucket', {
      bucketName: this.bucketName,
      ...shared,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      serverAccessLogsBucket: logs,
      serverAccessLogsPrefix: 's3/',
      lifecycleRules: [
        { abortIncompleteMultipartUploadAfter: Duration.days(1) },
        { prefix: 'jobs/', expiration: Duration.days(jobFileDays) },
      ],
    })
    // The origin's access control allows CloudFront to read the whole bucket.
    bucket.addToResourcePolicy(
      new PolicyStatement({
        effect: Effect.DENY,
        principals: [new ServicePrincipal('cloudfront.amazonaws.com')],
        actions: ['s3:GetObject'],
        resources: [bucket.arnForObjects('jobs/*')],
      }),
    )

    this.distribution = new Distribution(this, 'Distribution', {
      comment: 'Avatars',
      ...(stage.domains && {
        domainNames: [stage.domains.avatars],
        certificate: Certificate.fromCertificateArn(this, 'Certificate', stage.domains.edgeCertificateArn),
        minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
      }),
      defaultBehavior: {
        origin: S3BucketOrigin.withOriginAccessControl(bucket),
        allowedMethods: AllowedMethods.ALLOW_GET_HEAD,
        viewerProtocolPolicy: ViewerProtocolPolicy.HTTPS_ONLY,
        cachePolicy: new CachePolicy(this, 'EdgeCache', {
          comment: 'Avatars leave the edge soon after they are erased',
          minTtl: Duration.seconds(0),
          defaultTtl: edgeTtl,
          // Objects carry a Cache-Control of a year, which is meant for browsers only.
          maxTtl: edgeTtl,
        }),
        // The same headers as on the Node server's avatar route.
        responseHeadersPolicy: new ResponseHeadersPolicy(this, 'Headers', {
          securityHeadersBehavior: {
            contentTypeOptions: { override: true },
            contentSecurityPolicy: {
              contentSecurityPolicy: "default-src 'none'; sandbox",
              override: true,
            },
            strictTransportSecurity: { accessControlMaxAge: Duration.days(365), override: true },
          },
          customHeadersBehavior: {
            customHeaders: [
              { header: 'Cross-Origin-Resource-Policy', value: 'cross-origin', override: true },
            ],
          },
        }),
      },
      httpVersion: HttpVersion.HTTP2_AND_3,
      enableLogging: true,
      logBucket: logs,
      logFilePrefix: 'cloudfront/',
    })

    this.baseUrl = `https://${stage.domains?.avatars ?? this.distribution.distributionDomainName}`

    network.s3.addToPolicy(
      new PolicyStatement({
        principals: [new AnyPrincipal()],
        actions: [
          's3:AbortMultipartUpload',
          's3:DeleteObject',
          's3:GetObject',
          's3:ListBucket',
          's3:PutObject',
        ],
        resources: [this.#bucketArn, this.#objects, this.#jobFiles],
        conditions: { StringEquals: { 'aws:PrincipalAccount': account } },
      }),
    )
    accept(logs, {
      'AwsSolutions-S1': 'This bucket stores the access logs; logging access to it would never end.',
    })
    accept(this.distribution, {
      'AwsSolutions-CFR1': 'Users may be anywhere.',
      'AwsSolutions-CFR2': 'It serves static pictures under names that cannot be guessed.',
      ...(!stage.domains && {
        'AwsSolutions-CFR4':
          'The default CloudFront certificate fixes the minimum TLS version; a custom one does not.',
      }),
    })
  }

  grantWrite(role: IRole): void {
    this.#grantObjects(role, this.#objects, ['s3:PutObject', 's3:DeleteObject'])
  }

  /** Allows imports to store avatars and find those that exist, and their undoing to remove them. */
  grantMove(role: IRole): void {
    this.#grantObjects(role, this.#objects, ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'])
    // Without it S3 answers 403 for a missing object. Its requests for one object have no prefix to limit it by.
    role.addToPrincipalPolicy(
      new PolicyStatement({ actions: ['s3:ListBucket'], resources: [this.#bucketArn] }),
    )
  }

  grantJobFiles(role: IRole): void {
    const actions = ['s3:AbortMultipartUpload', 's3:DeleteObject', 's3:GetObject', 's3:PutObject']
    this.#grantObjects(role, this.#jobFiles, actions)
  }

  /** Allows the daily job to list objects and remove orphans. */
  grantSweep(role: IRole): void {
    this.#grantObjects(role, this.#objects, ['s3:DeleteObject'])
    role.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['s3:ListBucket'],
        resources: [this.#bucketArn],
        conditions: { StringEquals: { 's3:prefix': 'avatars/' } },
      }),
    )
  }

  #grantObjects(role: IRole, objects: string, actions: string[]): void {
    role.addToPrincipalPolicy(new PolicyStatement({ actions, resources: [objects] }))
    accept(role, {
      [wildcardFinding(this, objects)]: 'Each avatar and each file of a job is an object under this prefix.',
    })
  }
}
