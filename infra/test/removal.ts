// Tests what happens to resources when a deployment fails or a stage is torn down.
import { expect, test } from 'vitest'
import type { StageTemplates } from './stage-templates.ts'

export function removalTests({ stage, resources, ofType, properties }: StageTemplates): void {
  test('no resource survives the rollback of the deployment that created it', () => {
    const kept = resources.filter(
      ([, { DeletionPolicy = 'Delete' }]) => !['Delete', 'RetainExceptOnCreate'].includes(DeletionPolicy),
    )
    // The account's role for the logs of API Gateway, which all stages share.
    expect(kept.map(([id]) => id.replace(/[0-9A-F]{8}$/, ''))).toEqual([
      'ApiRestCloudWatchRole',
      'ApiRestAccount',
    ])
  })

  test('the console’s bucket, and every bucket of a stage that keeps no data, is emptied before it is deleted', () => {
    const buckets = ofType('AWS::S3::Bucket')
      .filter(([id]) => !stage.keepsData || id.startsWith('SiteFilesBucket'))
      .map(([id]) => ({ Ref: id }))
    const emptied = properties('Custom::S3AutoDeleteObjects').map(({ BucketName }) => BucketName)
    expect(buckets.length).toBeGreaterThan(0)
    expect(emptied).toEqual(buckets)
  })
}
