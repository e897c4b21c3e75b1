// Costs of an idle stage, from its template and the prices in docs/costs.md.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { StageTemplates } from './stage-templates.ts'

const dollarsMax = 40

/** Rows of the table under the heading "The small stage": what, price a month, count. */
function priceRows(): { what: string; price: number; count: number; together: number }[] {
  const text = readFileSync(new URL('../../docs/costs.md', import.meta.url), 'utf8')
  const [, section = ''] = /^## The small stage\n([\s\S]*?)^##/m.exec(text) ?? []
  return [...section.matchAll(/^\| ([^|]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$/gm)].map(
    ([, what = '', price, count, together]) => ({
      what,
      price: Number(price),
      count: Number(count),
      together: Number(together),
    }),
  )
}

export function costTests({ name, stage, properties, ofType }: StageTemplates): void {
  if (name !== 'small') return

  test('the small stage costs at most 40 dollars a month idle, by the table in docs/costs.md', () => {
    const rows = priceRows()
    for (const { what, price, count, together } of rows)
      expect(Math.abs(price * count - together), what).toBeLessThan(0.01)
    expect(rows.reduce((sum, { together }) => sum + together, 0)).toBeLessThanOrEqual(dollarsMax)
    const counted = (what: string) => rows.find((row) => row.what.startsWith(what))?.count

    const [database] = properties('AWS::RDS::DBInstance')
    expect(counted(String(database?.DBInstanceClass))).toBe(1)
    expect(counted('gp3 storage')).toBe(Number(database?.AllocatedStorage))
    const [cache] = properties('AWS::ElastiCache::ReplicationGroup')
    expect(counted(String(cache?.CacheNodeType))).toBe(cache?.NumCacheClusters)
    expect(counted('interface endpoint')).toBe(
      properties('AWS::EC2::VPCEndpoint').flatMap(({ SubnetIds = [] }) => SubnetIds).length,
    )
    expect(counted('machine client')).toBe(
      properties('AWS::Cognito::UserPoolClient').filter(({ AllowedOAuthFlows }) =>
        (AllowedOAuthFlows as string[]).includes('client_credentials'),
      ).length,
    )
    const delivery = properties('AWS::Lambda::Function').find(({ FunctionName }) =>
      String(FunctionName).endsWith('-deliver'),
    )
    expect(delivery).toMatchObject({ MemorySize: 256, Timeout: 20 })
  })

  test('the jobs of the small stage run as rarely and as small as the table says', () => {
    expect(stage.jobsEveryMinutes).toBe(5)
    const jobs = properties('AWS::Lambda::Function').find(({ FunctionName }) =>
      String(FunctionName).endsWith('-run-jobs'),
    )
    expect(jobs).toMatchObject({ MemorySize: 1_792 })
  })

  test('the small stage has nothing else that is billed by the hour or the month', () => {
    for (const type of [
      'AWS::RDS::DBProxy',
      'AWS::WAFv2::WebACL',
      'AWS::KMS::Key',
      'AWS::SecretsManager::Secret',
      'AWS::CloudWatch::Alarm',
      'AWS::CloudWatch::Dashboard',
      'AWS::EC2::NatGateway',
    ])
      expect(ofType(type), type).toEqual([])
  })
}
