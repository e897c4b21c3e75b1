// A private bucket: avatars, which CloudFront serves, and the files of jobs, which it must not serve.
import { Duration, Stack } from 'aws-cdk-lib'
import { AnyPrincipal, type IRole, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { BlockPublicAccess, Bucket, BucketEncryption, HttpMethods, ObjectOwnership } from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import { accept, wildcardFinding } from '../nag.ts'
import { prefix } from '../names.ts'
import type { StageProps } from '../stages.ts'
import { removalPolicy } from './log-group.ts'
import type { Network } from './network.ts'

// Longer than the service keeps a file of a job; a week is its longest (src/services/jobs/clean-up.ts).
const jobFileDays = 14

export class Avatars extends Construct {
  readonly bucketName: string
  /** Where signed addresses of job files lead to. */
  readonly uploadOrigin: string
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
    const { account, region, partition, urlSuffix } = Stack.of(this)
    this.bucketName = `${prefix(stageName)}-avatars-${account}-${region}`
    this.#bucketArn = `arn:${partition}:s3:::${this.bucketName}`
    this.#objects = `${this.#bucketArn}/avatars/*`
    this.#jobFiles = `${this.#bucketArn}/jobs/*`
    this.uploadOrigin = `https://${this.bucketName}.s3.${region}.${urlSuffix}`
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
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
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
      // The console sends files of imports by signed addresses, which are the permission. Browsers send no cookie with them.
      cors: [{ allowedMethods: [HttpMethods.PUT], allowedOrigins: ['*'], allowedHeaders: ['content-type'] }],
    })
    // The distribution is in the other stack, so its id is unknown here.
    bucket.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('cloudfront.amazonaws.com')],
        actions: ['s3:GetObject'],
        resources: [bucket.arnForObjects('avatars/*')],
        conditions: { StringEquals: { 'aws:SourceAccount': account } },
      }),
    )

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
