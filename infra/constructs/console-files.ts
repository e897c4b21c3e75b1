// The bucket of the console's built files, and their upload by each deployment.
import { DefaultStackSynthesizer, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3'
import { BucketDeployment, CacheControl, Source } from 'aws-cdk-lib/aws-s3-deployment'
import type { IDependable } from 'constructs'
import { Construct } from 'constructs'
import { accept, wildcardFinding } from '../nag.ts'
import type { Stage } from '../stages.ts'
import { logGroup } from './log-group.ts'

export class ConsoleFiles extends Construct {
  readonly bucket: Bucket

  constructor(scope: Construct, id: string) {
    super(scope, id)
    // Every deployment brings its content, so no stage keeps it.
    this.bucket = new Bucket(this, 'Bucket', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      removalPolicy: RemovalPolicy.DESTROY,
      autoDeleteObjects: true,
    })
    accept(this.bucket, {
      'AwsSolutions-S1': 'The files are for everyone, and each deployment writes them anew.',
    })
  }

  /**
   * Former assets stay, because open pages still load them. The page follows the API, so that it finds what it calls.
   * @param folder console/dist
   */
  upload(folder: string, { stage, after }: { stage: Stage; after: IDependable }): void {
    const logs = logGroup(this, 'UploadLogs', { stage })
    const add = (id: string, exclude: string[], ...cacheControl: CacheControl[]) => {
      const deployment = new BucketDeployment(this, id, {
        // The compressed copies are for the Node server. CloudFront compresses by itself.
        sources: [
          Source.asset(folder, {
            exclude: ['*.br', '*.gz', '**/*.br', '**/*.gz', 'sources-hash', ...exclude],
          }),
        ],
        destinationBucket: this.bucket,
        destinationKeyPrefix: 'console',
        cacheControl,
        prune: false,
        logGroup: logs,
      })
      this.#acceptUploads(deployment)
      return deployment
    }
    const assets = add(
      'Assets',
      ['index.html'],
      CacheControl.setPublic(),
      CacheControl.maxAge(Duration.days(365)),
      CacheControl.immutable(),
    )
    const page = add('Page', ['assets'], CacheControl.noCache())
    page.node.addDependency(assets, after)
  }

  #acceptUploads({ handlerRole }: BucketDeployment): void {
    const { partition, account, region } = Stack.of(this)
    const uploader = handlerRole.node.scope
    if (!uploader) return
    const reason = 'The CDK’s own function copies its assets to this bucket.'
    const assets = `arn:${partition}:s3:::cdk-${DefaultStackSynthesizer.DEFAULT_QUALIFIER}-assets-${account}-${region}/*`
    const actions = ['s3:GetBucket*', 's3:GetObject*', 's3:List*', 's3:DeleteObject*', 's3:Abort*']
    const findings = [
      ...actions.map((action) => `AwsSolutions-IAM5[Action::${action}]`),
      wildcardFinding(this, assets),
      wildcardFinding(this, this.bucket.arnForObjects('*')),
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]',
      'AwsSolutions-L1',
    ]
    accept(uploader, Object.fromEntries(findings.map((id) => [id, reason])))
  }
}
